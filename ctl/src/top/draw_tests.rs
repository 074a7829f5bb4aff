//! The picture as characters, for given knowledge, time and size.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};
use talas_wire::{ConnectionInfo, LastGap, Meter, Meters, Rendition, State, Status};

use super::draw::{Look, draw};
use super::model::{Act, Link, Model, News, Order};
use crate::samples::{listener, status};

/// An hour after the epoch, when everything began.
const NOW_MS: u64 = 3_600_000;

/// A model, and the clock it lives by.
struct Scene {
    model: Model,
    at: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { model: Model::default(), at: Instant::now() }
    }

    fn hear(&mut self, news: News) {
        self.model.hear(news, self.at);
    }

    fn press(&mut self, code: KeyCode) -> Act {
        self.model.press(KeyEvent::new(code, KeyModifiers::NONE), self.at)
    }

    fn screen(&self, columns: u16, rows: u16, has_colour: bool) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
        let look = Look { now_ms: NOW_MS, at: self.at, has_colour };
        terminal.draw(|frame| draw(frame, &self.model, &look)).expect("drawn");
        terminal
    }

    fn text(&self, columns: u16, rows: u16) -> String {
        let terminal = self.screen(columns, rows, false);
        let cells = terminal.backend().buffer().content();
        let line = |cells: &[ratatui::buffer::Cell]| {
            let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned() + "\n"
        };
        cells.chunks(columns.into()).map(line).collect()
    }
}

fn status_with(change: impl FnOnce(&mut Status)) -> News {
    let mut status = status();
    status.renditions = vec![Rendition {
        name: "frames/json/1".to_owned(),
        listeners: 2,
        entries: 10,
        bytes: 45_200_000,
        since_ms: 0,
    }];
    status.listeners.sse = 2;
    change(&mut status);
    News::Status(Box::new(status))
}

fn gap(status: &mut Status, total: u64, ended_ms: u64) {
    status.gaps.total = total;
    status.gaps.last = Some(LastGap { reason: "overrun".to_owned(), lost_samples: 4800, ended_ms });
    status.capture.lost_samples = 4800 * total;
}

fn two_listeners(seconds: u64) -> News {
    let of = |id: &str, user_agent: &str, rate: u64| ConnectionInfo {
        user_agent: user_agent.to_owned(),
        frames_sent: 47 * seconds,
        bytes_sent: rate * seconds,
        ..listener(id)
    };
    News::Connections(vec![
        of("01a1f8d8-01", "VLC/3.0 LibVLC/3.0", 1_170_000),
        of("01a1f8d8-02", "a\x1b[2Jb", 48_000),
    ])
}

fn appliance() -> Scene {
    let mut scene = Scene::new();
    scene.hear(status_with(|status| gap(status, 3, 600_000)));
    scene.hear(status_with(|status| gap(status, 5, 3_590_000)));
    let channel = |rms, peak| Meter { rms_dbfs: Some(rms), peak_dbfs: Some(peak), ..Meter::default() };
    scene.hear(News::Meters(Meters {
        timestamp_ms: 1,
        channels: vec![channel(-30.0, -12.0), channel(-60.0, -50.0)],
        ..Meters::default()
    }));
    scene.hear(two_listeners(1));
    scene.at += Duration::from_secs(1);
    scene.hear(two_listeners(2));
    scene
}

#[test]
fn everything_has_its_place() {
    let expected = "\
● running for 1 h · ALSA hw:0 · 48 kHz S16_LE 2 ch
  capture     period 256, buffer 4,096 frames (85 ms) · drift -4.3 ppm · realtime · ring at most 3 % full
  lost        24,000 frames (500 ms) in 5 gaps
  listeners   2 · 2 SSE · quality high
  renditions  frames/json/1 · 2 listeners · 45.2 MB · for 1 h

     -60        -48         -36         -24         -12         0   rms dB  peak dB  clipped
  1  ██████████████████████████████··················│···········    -30.0    -12.0        0
  2  ··········│·················································    -60.0    -50.0        0

  gaps        the device's buffer ran over for 100 ms · sound went on 10 s ago · and 1 gap just before
              the device's buffer ran over for 100 ms · sound went on 50 min ago

2 listeners
ID           ADDRESS        SINCE↓    FRAMES/S          RATE      SENT    GAPS  CLIENT
01a1f8d8-01  192.0.2.7         1 h          47    9.4 Mbit/s    2.3 MB       0  VLC/3.0 LibVLC/3.0
01a1f8d8-02  192.0.2.7         1 h          47    384 kbit/s   96.0 kB       0  a\\u{1b}[2Jb


q quit   ↑↓ choose   k kick   p pause   s sort   r reverse
";
    assert_eq!(appliance().text(110, 20), expected);
}

#[test]
fn what_is_less_important_gives_way() {
    let expected = "\
● running for 1 h · ALSA hw:0 · 48 kHz S16_LE 2 ch
  capture     period 256, buffer 4,096 frames (85 ms) · drift -4.3 ppm
              realtime · ring at most 3 % full
  lost        24,000 frames (500 ms) in 5 gaps
  listeners   2 · 2 SSE · quality high
  renditions  frames/json/1 · 2 listeners · 45.2 MB · for 1 h

     -60   -48    -36     -24    -12     0   rms dB  peak dB  clipped
  1  ██████████████████▌··········│·······    -30.0    -12.0        0
  2  ······│······························    -60.0    -50.0        0
2 listeners
ID             FRAMES/S          RATE    GAPS  CLIENT
01a1f8d8-01          47    9.4 Mbit/s       0  VLC/3.0 LibVLC/3.0
01a1f8d8-02          47    384 kbit/s       0  a\\u{1b}[2Jb

q quit   ↑↓ choose   k kick   p pause   s sort   r reverse
";
    assert_eq!(appliance().text(70, 16), expected);
    let expected = "\
● running for 1 h · ALSA hw:0
…
2 listeners
ID                   RATE
01a1f8d8-01    9.4 Mbit/s
01a1f8d8-02    384 kbit/s

q quit   ↑↓ choose   k kick
";
    assert_eq!(appliance().text(30, 8), expected);
}

#[test]
fn no_size_is_too_small() {
    let mut scene = appliance();
    for _ in 0..2 {
        for columns in 1..24 {
            for rows in 1..24 {
                assert_eq!(scene.text(columns, rows).lines().count(), usize::from(rows));
            }
        }
        scene.press(KeyCode::Down);
        scene.press(KeyCode::Char('k'));
    }
}

#[test]
fn a_long_list_scrolls_around_the_chosen_one() {
    let mut scene = Scene::new();
    scene.hear(News::Connections((100..600).map(|id| listener(&format!("listener-{id}"))).collect()));
    let shown = |scene: &Scene| -> Vec<String> {
        let text = scene.text(40, 12);
        text.lines().filter(|line| line.contains("listener")).map(|line| line[..12].to_owned()).collect()
    };
    assert_eq!(shown(&scene)[..2], ["500 listener", "listener-100"]);
    assert!(scene.text(40, 12).contains("500 listeners, 1 to 5 of them\n"), "{}", scene.text(40, 12));
    for _ in 0..51 {
        scene.press(KeyCode::Down);
    }
    assert!(shown(&scene).contains(&"listener-150".to_owned()), "{:?}", shown(&scene));
    scene.press(KeyCode::End);
    assert_eq!(shown(&scene).last().map(String::as_str), Some("listener-599"));
    scene.press(KeyCode::PageUp);
    assert_eq!(scene.model.listing.chosen().map(|one| one.info.id.as_str()), Some("listener-589"));
}

#[test]
fn the_chosen_one_and_the_state_are_marked() {
    let mut scene = appliance();
    scene.press(KeyCode::Down);
    let marked = |has_colour| {
        let terminal = scene.screen(110, 20, has_colour);
        let buffer = terminal.backend().buffer().clone();
        let reversed: Vec<u16> =
            (0..20).filter(|&row| buffer[(0, row)].modifier.contains(Modifier::REVERSED)).collect();
        (reversed, buffer[(0, 0)].fg)
    };
    assert_eq!(marked(true), (vec![15], Color::Green));
    assert_eq!(marked(false), (vec![15], Color::Reset), "the choice is seen without colours, too");
}

/// The last lines of the picture.
fn foot(scene: &Scene) -> String {
    let text = scene.text(80, 24);
    text.lines().skip(22).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_kick_needs_a_choice_and_a_yes() {
    let mut scene = appliance();
    scene.press(KeyCode::Char('k'));
    assert_eq!(foot(&scene), "» choose a listener first, with ↑ and ↓");
    scene.press(KeyCode::Down);
    scene.press(KeyCode::Char('k'));
    let question = "? kick 01a1f8d8-01 (192.0.2.7, VLC/3.0 LibVLC/3.0)?\n  y yes   any other key no";
    assert_eq!(foot(&scene), question);
    assert_eq!(scene.press(KeyCode::Char('q')), Act::Stay, "a no, and nothing else");
    assert_eq!(foot(&scene), "» nothing was done");
    scene.press(KeyCode::Char('k'));
    // Whoever takes its place meanwhile is not meant.
    scene.hear(News::Connections(vec![listener("somebody else")]));
    let Act::Do(Order::Kick { id, who }) = scene.press(KeyCode::Char('y')) else { panic!("it is done") };
    assert_eq!(id, "01a1f8d8-01");
    scene.hear(News::Done(Ok(Order::Kick { id, who }.done())));
    assert_eq!(foot(&scene), "» kicked 01a1f8d8-01 (192.0.2.7, VLC/3.0 LibVLC/3.0)");
    scene.at += Duration::from_secs(7);
    assert!(foot(&scene).ends_with("q quit   ↑↓ choose   k kick   p pause   s sort   r reverse"));
}

#[test]
fn a_pause_needs_a_yes_and_ends_by_the_same_key() {
    let mut scene = Scene::new();
    scene.press(KeyCode::Char('p'));
    assert_eq!(scene.press(KeyCode::Char('y')), Act::Stay, "nothing is known, so nothing was asked");
    scene.hear(status_with(|_| ()));
    scene.press(KeyCode::Char('p'));
    assert!(foot(&scene).starts_with("? pause: no captured sound goes anywhere"), "{}", foot(&scene));
    assert_eq!(scene.press(KeyCode::Char('y')), Act::Do(Order::Pause));
    scene.hear(News::Done(Err("not permitted: capture.pause needs level change".to_owned())));
    assert_eq!(foot(&scene), "» not permitted: capture.pause needs level change");
    scene.hear(status_with(|status| status.state = State::Paused));
    scene.press(KeyCode::Char('p'));
    assert_eq!(scene.press(KeyCode::Char('y')), Act::Do(Order::Resume));
}

#[test]
fn keys_leave_or_do_nothing() {
    let mut scene = appliance();
    assert_eq!(scene.press(KeyCode::Char('q')), Act::Quit);
    for code in [KeyCode::Char('x'), KeyCode::Esc, KeyCode::Tab, KeyCode::F(1)] {
        assert_eq!(scene.press(code), Act::Stay);
    }
    let mut control = |letter| {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        scene.model.press(key, scene.at)
    };
    assert_eq!(control('c'), Act::Quit);
    assert_eq!(control('k'), Act::Stay);
}

#[test]
fn a_lost_daemon_is_said_and_its_figures_do_not_pass_for_live() {
    let mut scene = appliance();
    for link in [Link::Status, Link::Meters, Link::Orders] {
        scene.hear(News::Lost(link, "there is no socket /run/talas/talasd.sock".to_owned()));
    }
    let text = scene.text(100, 20);
    assert!(
        text.starts_with(
            "! there is no socket /run/talas/talasd.sock; trying again\nlast known:\n● running for 1 h"
        ),
        "{text}"
    );
    assert_eq!(text.matches("no socket").count(), 1, "{text}");
    let colours = scene.screen(100, 20, true);
    assert_eq!(colours.backend().buffer()[(0, 2)].fg, Color::Reset, "not the green of now");
    assert!(text.contains("nothing to measure") && text.contains("nobody is known to listen"), "{text}");
    scene.press(KeyCode::Char('p'));
    assert_eq!(scene.press(KeyCode::Char('y')), Act::Stay, "it would be done who knows when");
    // It is back, and counts its gaps from its own start.
    scene.hear(status_with(|status| gap(status, 1, 3_599_000)));
    scene.hear(News::Meters(Meters { timestamp_ms: 5, ..Meters::default() }));
    scene.hear(News::Connections(Vec::new()));
    let text = scene.text(100, 20);
    assert!(text.starts_with("● running"), "{text}");
    assert!(
        text.contains("gaps        the device's buffer ran over for 100 ms · sound went on 1 s ago\n"),
        "{text}"
    );
    assert!(text.contains("nobody listens"), "{text}");
}

#[test]
fn a_slow_terminal_is_told_what_it_missed() {
    let mut scene = appliance();
    scene.hear(News::Missed(2));
    scene.hear(News::Missed(1));
    let text = scene.text(100, 20);
    assert!(text.starts_with("! missed 3 changes: this terminal is slower than the news\n"), "{text}");
}

#[test]
fn many_channels_leave_room_for_the_list() {
    let mut scene = appliance();
    let channel = Meter::default();
    scene.hear(News::Meters(Meters { timestamp_ms: 2, channels: vec![channel; 32], ..Meters::default() }));
    let text = scene.text(100, 40);
    assert!(text.contains("\n  8  ") && !text.contains("\n  9  "), "{text}");
    assert!(text.contains("     and 24 channels more\n"), "{text}");
}
