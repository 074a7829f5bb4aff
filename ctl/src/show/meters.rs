//! Meters: a bar for each channel on a dBFS scale, its peak, and its clipped samples; and how loud the
//! programme is.
//!
//! [`Ballistics`] is what a meter remembers between readings, [`page`] is how it looks. Time is that
//! of the readings, so that both are pure.

use talas_wire::{Loudness, Meter, Meters};

use super::View;
use crate::human::{count, fixed};
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, flow, plain};

/// Left end of the scale. Room noise through a good converter is about here.
const FLOOR_DBFS: f64 = -60.0;
/// Between two marks of the scale.
const MARK_EVERY_DB: f64 = 12.0;
/// From here on a bar is a warning: less headroom than broadcasters line up with.
const WARM_DBFS: f64 = -18.0;
/// From here on a bar is too high.
const HOT_DBFS: f64 = -6.0;
/// A peak stays visible for so long, as on a studio's meter.
const PEAK_HOLD_MS: u64 = 1500;
/// Bars are this long where there is room.
const BAR_COLUMNS: usize = 60;
/// Shorter bars tell nothing.
const MIN_BAR_COLUMNS: usize = 12;
/// Columns beside the bar: the channel's number before it, three figures after it.
const BESIDE_COLUMNS: usize = 5 + 3 * FIGURE_COLUMNS;
/// Columns of a figure.
const FIGURE_COLUMNS: usize = 9;
/// Bars that are an eighth, two eighths, … of a column wide.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// What the meters of a watch remember.
#[derive(Debug, Default)]
pub struct Ballistics {
    newest_ms: u64,
    channels: Vec<Needle>,
    loudness: Loudness,
    correlation: Option<f64>,
}

/// One channel's meter.
#[derive(Debug, Clone, Copy)]
struct Needle {
    now: Meter,
    held_peak_dbfs: Option<f64>,
    held_since_ms: u64,
    /// Clipped samples since the watch began.
    clipped: u64,
}

impl Ballistics {
    /// The meters at their first reading.
    pub fn of(meters: &Meters) -> Self {
        let mut ballistics = Self::default();
        ballistics.follow(meters);
        ballistics
    }

    /// Takes a reading; the same one again (a mere redraw) changes nothing.
    pub fn follow(&mut self, meters: &Meters) {
        let at_ms = meters.timestamp_ms;
        if meters.channels.len() != self.channels.len() {
            // Another device, or a pause: what the needles remember was of something else.
            self.channels = meters.channels.iter().map(|&meter| Needle::new(meter, at_ms)).collect();
        } else if at_ms != self.newest_ms {
            for (needle, &meter) in self.channels.iter_mut().zip(&meters.channels) {
                needle.follow(meter, at_ms);
            }
        }
        self.newest_ms = at_ms;
        self.loudness = meters.loudness;
        self.correlation = meters.correlation;
    }
}

impl Needle {
    fn new(meter: Meter, at_ms: u64) -> Self {
        Self { now: meter, held_peak_dbfs: meter.peak_dbfs, held_since_ms: at_ms, clipped: meter.clipped }
    }

    fn follow(&mut self, meter: Meter, at_ms: u64) {
        self.now = meter;
        self.clipped = self.clipped.saturating_add(meter.clipped);
        // `None` is digital silence and less than any level.
        let is_over = at_ms.saturating_sub(self.held_since_ms) > PEAK_HOLD_MS;
        if meter.peak_dbfs >= self.held_peak_dbfs || is_over {
            self.held_peak_dbfs = meter.peak_dbfs;
            self.held_since_ms = at_ms;
        }
    }
}

/// The whole page.
pub fn page(ballistics: &Ballistics, view: &View) -> Page {
    if ballistics.channels.is_empty() {
        return vec![Line::of(plain("nothing to measure: paused, or without a source"))];
    }
    let room = view.columns.map_or(BAR_COLUMNS, |columns| columns.saturating_sub(BESIDE_COLUMNS + 1));
    let bar = room.clamp(MIN_BAR_COLUMNS, BAR_COLUMNS);
    let mut page = vec![scale(bar)];
    page.extend(ballistics.channels.iter().zip(1..).map(|(needle, number)| channel(number, needle, bar)));
    let programme = programme(ballistics);
    if !programme.is_empty() {
        page.extend(flow(plain("     "), SEPARATOR, programme, view.columns));
    }
    page
}

/// What is measured of all channels together; nothing where nothing is.
fn programme(ballistics: &Ballistics) -> Vec<Piece> {
    let loudness = &ballistics.loudness;
    let figures = [
        ("momentary", loudness.momentary_lufs, "LUFS"),
        ("short-term", loudness.short_term_lufs, "LUFS"),
        ("integrated", loudness.integrated_lufs, "LUFS"),
        ("range", loudness.range_lu, "LU"),
        ("highest true peak", loudness.max_true_peak_dbtp, "dBTP"),
    ];
    let figure = |(name, value, unit): (&str, Option<f64>, &str)| {
        let text = format!("{name} {} {unit}", fixed(value?, 1));
        let is_over = unit == "dBTP" && value? > 0.0;
        Some(Piece::new(if is_over { Ink::Bad } else { Ink::Plain }, text))
    };
    let mut facts: Vec<Piece> = figures.into_iter().filter_map(figure).collect();
    facts.extend(ballistics.correlation.map(|value| plain(format!("correlation {}", fixed(value, 2)))));
    facts
}

/// The line over the bars: levels where they lie, and what the figures are.
fn scale(bar: usize) -> Line {
    // Half of the marks where a column stands for more than 2 dB.
    let step = if bar * 2 > BAR_COLUMNS { MARK_EVERY_DB } else { MARK_EVERY_DB * 2.5 };
    let mut text = vec![' '; bar];
    let mut dbfs = FLOOR_DBFS;
    while dbfs <= 0.0 {
        let mark = format!("{dbfs:.0}");
        let start = column(dbfs, bar).saturating_sub(mark.len() / 2).min(bar - mark.len());
        for (place, character) in text[start..].iter_mut().zip(mark.chars()) {
            *place = character;
        }
        dbfs += step;
    }
    let text: String = text.into_iter().collect();
    let figures = format!("{:>w$}{:>w$}{:>w$}", "rms dB", "peak dB", "clipped", w = FIGURE_COLUMNS);
    Line::of(Piece::new(Ink::Faint, format!("     {text}{figures}")))
}

fn channel(number: usize, needle: &Needle, bar: usize) -> Line {
    let mut line = Line::of(plain(format!("{number:>3}  ")));
    for piece in bar_pieces(needle, bar) {
        line = line.and(piece);
    }
    let clipped = if needle.clipped == 0 { plain } else { |text: String| Piece::new(Ink::Bad, text) };
    line.and(plain(format!("{:>FIGURE_COLUMNS$}", level(needle.now.rms_dbfs))))
        .and(plain(format!("{:>FIGURE_COLUMNS$}", level(needle.held_peak_dbfs))))
        .and(clipped(format!("{:>FIGURE_COLUMNS$}", count(needle.clipped))))
}

fn level(dbfs: Option<f64>) -> String {
    dbfs.map_or_else(|| "silence".to_owned(), |dbfs| fixed(dbfs, 1))
}

/// The bar of the mean level with the mark of the peak, in pieces of one colour.
fn bar_pieces(needle: &Needle, bar: usize) -> Vec<Piece> {
    let filled = needle.now.rms_dbfs.map_or(0.0, |dbfs| position(dbfs, bar));
    let peak = needle.held_peak_dbfs.filter(|&dbfs| dbfs > FLOOR_DBFS).map(|dbfs| column(dbfs, bar));
    let mut pieces = Vec::new();
    let mut run = (Ink::Plain, String::new());
    for at in 0..bar {
        let (ink, character) = match glyph(filled, at) {
            None if peak == Some(at) => (zone(at, bar), '│'),
            None => (Ink::Faint, '·'),
            Some(glyph) => (zone(at, bar), glyph),
        };
        if ink != run.0 {
            pieces.push(Piece::new(run.0, std::mem::take(&mut run.1)));
            run.0 = ink;
        }
        run.1.push(character);
    }
    pieces.push(Piece::new(run.0, run.1));
    pieces
}

/// What a bar that reaches to `filled` shows in column `at`; `None` beyond its end.
fn glyph(filled: f64, at: usize) -> Option<char> {
    let eighths = ((filled - at as f64) * 8.0).round();
    match eighths {
        ..1.0 => None,
        8.0.. => Some('█'),
        eighths => EIGHTHS.get(eighths as usize - 1).copied(),
    }
}

/// Where a level lies on a bar, in columns from its left end.
fn position(dbfs: f64, bar: usize) -> f64 {
    ((dbfs - FLOOR_DBFS) / -FLOOR_DBFS).clamp(0.0, 1.0) * bar as f64
}

/// The column that holds a level.
fn column(dbfs: f64, bar: usize) -> usize {
    (position(dbfs, bar) as usize).min(bar - 1)
}

fn zone(at: usize, bar: usize) -> Ink {
    match at {
        at if at >= column(HOT_DBFS, bar) => Ink::Bad,
        at if at >= column(WARM_DBFS, bar) => Ink::Warn,
        _ => Ink::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(timestamp_ms: u64, channels: &[(f64, f64, u64)]) -> Meters {
        let meter = |&(rms, peak, clipped): &(f64, f64, u64)| Meter {
            rms_dbfs: Some(rms),
            peak_dbfs: Some(peak),
            clipped,
            ..Meter::default()
        };
        Meters { timestamp_ms, channels: channels.iter().map(meter).collect(), ..Meters::default() }
    }

    fn text(ballistics: &Ballistics, columns: Option<usize>) -> String {
        let view = View { now_ms: 0, columns };
        page(ballistics, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn bars_reach_to_their_level() {
        let mut meters = reading(1, &[(-30.0, -12.0, 0), (-90.0, -59.5, 0), (0.0, 0.0, 1234)]);
        meters.channels.push(Meter::default());
        let expected = "     \
-60        -48         -36         -24         -12         0   rms dB  peak dB  clipped
  1  ██████████████████████████████··················│···········    -30.0    -12.0        0
  2  │···························································    -90.0    -59.5        0
  3  ████████████████████████████████████████████████████████████      0.0      0.0    1,234
  4  ····························································  silence  silence        0
";
        assert_eq!(text(&Ballistics::of(&meters), None), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_a_shorter_bar() {
        let meters = reading(1, &[(-29.0, -2.0, 0)]);
        let expected = "     \
-60           -30            0   rms dB  peak dB  clipped
  1  ███████████████▌·············│    -29.0     -2.0        0
";
        assert_eq!(text(&Ballistics::of(&meters), Some(63)), expected);
        let narrow = text(&Ballistics::of(&meters), Some(20));
        assert!(narrow.starts_with("     -60  -30   0"), "{narrow}");
    }

    #[test]
    fn the_programme_is_told_below_its_channels() {
        let mut meters = reading(1, &[(-30.0, -12.0, 0)]);
        meters.loudness.momentary_lufs = Some(-23.04);
        meters.loudness.integrated_lufs = Some(-22.5);
        meters.loudness.max_true_peak_dbtp = Some(0.3);
        meters.correlation = Some(-0.257);
        let text = text(&Ballistics::of(&meters), None);
        let expected = "     momentary -23.0 LUFS · integrated -22.5 LUFS · highest true peak 0.3 dBTP · correlation -0.26\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_peak_is_held_and_clips_add_up() {
        let mut ballistics = Ballistics::of(&reading(1000, &[(-20.0, -3.0, 2)]));
        let later = reading(1100, &[(-40.0, -30.0, 1)]);
        ballistics.follow(&later);
        ballistics.follow(&later);
        assert_eq!(ballistics.channels[0].held_peak_dbfs, Some(-3.0));
        assert_eq!(ballistics.channels[0].clipped, 3);
        ballistics.follow(&reading(2600, &[(-40.0, -35.0, 0)]));
        assert_eq!(ballistics.channels[0].held_peak_dbfs, Some(-35.0));
    }

    #[test]
    fn a_pause_empties_the_needles() {
        let mut ballistics = Ballistics::of(&reading(1000, &[(-20.0, -3.0, 2)]));
        ballistics.follow(&Meters { timestamp_ms: 1100, ..Meters::default() });
        assert_eq!(text(&ballistics, None), "nothing to measure: paused, or without a source\n");
        ballistics.follow(&reading(9000, &[(-20.0, -9.0, 0)]));
        assert_eq!(ballistics.channels[0].held_peak_dbfs, Some(-9.0));
        assert_eq!(ballistics.channels[0].clipped, 0);
    }
}
