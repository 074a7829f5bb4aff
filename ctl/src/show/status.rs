//! The status: is there sound, since when, from what, what was lost, who listens.
//!
//! The first line answers at a glance; the rows below it say the rest, what is well in few words
//! and what is not in a colour; warnings come last, where the eye rests.

use talas_wire::{
    Access, Capture, Condition, Disk, Gaps, LastGap, Listeners, Push, PushState, Quality, Realtime,
    Rendition, Source, SourceKind, State, Status,
};

use super::View;
use super::answer::scale_in_words;
use crate::human::{
    bytes, count, counted, duration, frames, frames_as_time, kilohertz, percent, since, trimmed,
};
use crate::text::{Ink, Line, Page, Piece, Row, SEPARATOR, escape, flow, plain, rows, sentence};

/// A ring this full has come close to losing sound.
pub const RING_NEARLY_FULL: f64 = 0.5;
/// Less room than this on the disk is worth a look.
const LITTLE_SPACE_BYTES: u64 = 1_000_000_000;

/// The whole page.
pub fn page(status: &Status, view: &View) -> Page {
    let mut page = headline(status, view);
    page.push(Line::default());
    let rate = status.capture.sample_rate;
    let mut all = what_comes_in(status, view);
    all.extend([
        Row::new("last gap", status.gaps.last.iter().flat_map(|gap| last_gap(gap, rate, view)).collect()),
        Row::new("serving", status.addresses.iter().map(plain).collect()),
        Row::new("access", access(&status.access)),
        Row::new("tls", status.tls.as_ref().map_or_else(Vec::new, |tls| super::tls::summary(tls, view))),
        Row::new("listeners", listeners(&status.listeners)),
        Row::new("quality", quality(&status.quality)),
        Row::new("title", title(&status.title)),
        Row::new("effects", super::process::summary(&status.process)),
    ]);
    all.extend(renditions(&status.renditions, view));
    all.extend(pushes(&status.pushes, view));
    all.push(Row::new("disk", disk(&status.disk)));
    all.push(Row::new("daemon", daemon(status)));
    page.extend(rows(all, view.columns));
    if !status.warnings.is_empty() {
        page.push(Line::default());
    }
    for warning in &status.warnings {
        page.extend(sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, warning, view.columns));
    }
    page
}

/// Where sound comes from, and how well: the rows that both pages begin with.
fn what_comes_in(status: &Status, view: &View) -> Vec<Row> {
    vec![
        Row::new("reason", status.reason.iter().map(|reason| Piece::new(Ink::Warn, reason)).collect()),
        Row::new("source", source(&status.source, status.state, view)),
        Row::new("capture", capture(&status.capture)),
        Row::new("sound", sound(status, view)),
        Row::new("lost", lost(&status.capture, &status.gaps)),
    ]
}

/// Who is let in over HTTP; nothing where the daemon does not say.
fn access(access: &Access) -> Vec<Piece> {
    let mode = match access.mode.as_str() {
        "" => return Vec::new(),
        "open" => plain("open to everybody on this machine"),
        mode => plain(format!("by {mode}")),
    };
    let everybody = (!access.anonymous.is_empty())
        .then(|| Piece::new(Ink::Warn, format!("everybody: {}", access.anonymous.join(", "))));
    let refused = access.refused.iter().filter(|(_, refused)| **refused > 0);
    let refused = refused.map(|(limit, refused)| {
        Piece::new(Ink::Warn, format!("{} refused by {limit}", counted(*refused, "request")))
    });
    [mode].into_iter().chain(everybody).chain(refused).collect()
}

/// The part for a live view: what can change from one second to the next.
pub fn brief(status: &Status, view: &View) -> Page {
    let mut page = headline(status, view);
    let mut listeners = listeners(&status.listeners);
    listeners.push(plain(format!("quality {}", status.quality.profile)));
    let mut all = what_comes_in(status, view);
    all.push(Row::new("listeners", listeners));
    all.extend(renditions(&status.renditions, view));
    all.extend(pushes(&status.pushes, view));
    page.extend(rows(all, view.columns));
    for warning in &status.warnings {
        page.extend(sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, warning, view.columns));
    }
    page
}

fn headline(status: &Status, view: &View) -> Page {
    let ink = state_ink(status.state);
    let capture = &status.capture;
    let mut facts = vec![
        Piece::new(ink, format!("{} for {}", status.state.as_str(), since(status.since_ms, view.now_ms))),
        Piece::new(Ink::Strong, source_name(&status.source)),
    ];
    if let Some(format) = &capture.format {
        facts.push(plain(format!("{} {format} {} ch", kilohertz(capture.sample_rate), capture.channels)));
    }
    flow(Piece::new(ink, "● "), SEPARATOR, facts, view.columns)
}

const fn state_ink(state: State) -> Ink {
    match state {
        State::Running => Ink::Good,
        State::Starting | State::Paused | State::Stopping => Ink::Warn,
        State::Stalled | State::Absent => Ink::Bad,
    }
}

/// A source in a word and its name.
pub fn source_name(source: &Source) -> String {
    let kind = match source.kind {
        SourceKind::Alsa => "ALSA",
        SourceKind::File => "file",
        SourceKind::Tone => "tone",
    };
    format!("{kind} {}", source.name)
}

/// What may be wrong with the sound; nothing where nothing is.
fn sound(status: &Status, view: &View) -> Vec<Piece> {
    let fact = |condition: &Condition| {
        let (ink, name) = match condition.condition.as_str() {
            "silence" => (Ink::Warn, "nothing is playing"),
            "digital_silence" => (Ink::Bad, "the input is dead"),
            "dead_channel" => (Ink::Bad, "dead channel"),
            "dc_offset" => (Ink::Warn, "DC offset"),
            "clipping" => (Ink::Bad, "clipping"),
            "dropout" => (Ink::Bad, "dropouts"),
            "click" => (Ink::Warn, "clicks"),
            "out_of_phase" => (Ink::Bad, "channels out of phase"),
            "hum" => (Ink::Warn, "hum"),
            other => (Ink::Warn, other),
        };
        // People count channels from one, as the meters do.
        let channels: Vec<String> =
            condition.channels.iter().map(|channel| (channel + 1).to_string()).collect();
        let channels = if channels.is_empty() { String::new() } else { format!(" {}", channels.join(", ")) };
        Piece::new(ink, format!("{name}{channels} for {}", since(condition.since_ms, view.now_ms)))
    };
    status.conditions.iter().map(fact).collect()
}

/// The source has a state of its own while the programme is paused; otherwise it is the headline's.
fn source(source: &Source, programme: State, view: &View) -> Vec<Piece> {
    if source.state == programme {
        return Vec::new();
    }
    let state = format!("{} for {}", source.state.as_str(), since(source.since_ms, view.now_ms));
    let mut facts = vec![Piece::new(state_ink(source.state), state)];
    facts.extend(source.reason.iter().map(plain));
    facts
}

fn capture(capture: &Capture) -> Vec<Piece> {
    if capture.format.is_none() {
        return vec![plain("no device was opened yet")];
    }
    let mut facts = Vec::new();
    if capture.period_frames > 0 {
        let buffer = frames(capture.buffer_frames.into(), capture.sample_rate);
        facts.push(plain(format!("period {}, buffer {buffer}", count(capture.period_frames.into()))));
    }
    facts.push(match capture.drift_ppm {
        Some(ppm) => plain(format!("drift {}{} ppm", if ppm > 0.0 { "+" } else { "" }, trimmed(ppm, 1))),
        None => Piece::new(Ink::Faint, "drift not measured yet"),
    });
    facts.push(match capture.realtime {
        Realtime::Fifo => plain("realtime"),
        Realtime::Denied => Piece::new(Ink::Warn, "realtime refused"),
        Realtime::Demoted => Piece::new(Ink::Bad, "realtime lost: used too much processor time"),
        Realtime::Off => plain("not realtime"),
    });
    let ring = format!("ring at most {} full", percent(capture.ring_peak));
    let ring_ink = if capture.ring_peak < RING_NEARLY_FULL { Ink::Plain } else { Ink::Warn };
    facts.push(Piece::new(ring_ink, ring));
    facts
}

fn lost(capture: &Capture, gaps: &Gaps) -> Vec<Piece> {
    let in_gaps = format!(" in {}", counted(gaps.total, "gap"));
    let mut facts = vec![match (capture.lost_samples, gaps.total) {
        (0, 0) => Piece::new(Ink::Good, "nothing"),
        // A pause is a gap, and nothing lost.
        (0, _) => Piece::new(Ink::Good, "nothing but pauses"),
        (lost, _) => Piece::new(Ink::Warn, frames(lost, capture.sample_rate) + &in_gaps),
    }];
    let counters = [
        (capture.overruns, "overrun"),
        (capture.suspends, "suspend"),
        (capture.stalls, "stall"),
        (capture.unplugs, "unplug"),
    ];
    facts.extend(counters.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| plain(counted(*n, noun))));
    if capture.ring_dropped_samples > 0 {
        let dropped = frames_as_time(capture.ring_dropped_samples, capture.sample_rate);
        facts.push(Piece::new(Ink::Bad, format!("{dropped} dropped, the ring was full")));
    }
    if capture.filler_samples > 0 {
        let filler = frames_as_time(capture.filler_samples, capture.sample_rate);
        facts.push(plain(format!("{filler} filled with silence")));
    }
    if capture.nonfinite_samples > 0 {
        let samples = counted(capture.nonfinite_samples, "sample");
        facts.push(Piece::new(Ink::Warn, format!("{samples} not a number")));
    }
    facts
}

/// What a gap was, and when it ended.
pub fn last_gap(gap: &LastGap, sample_rate: u32, view: &View) -> [Piece; 2] {
    let cause = match gap.reason.as_str() {
        "overrun" => "the device's buffer ran over",
        "suspend" => "the machine slept",
        "stalled" => "the device delivered nothing",
        "absent" => "the device was gone",
        "paused" => "an operator paused",
        "ring_full" => "the daemon was too slow for the device",
        other => other,
    };
    let length = frames_as_time(gap.lost_samples, sample_rate);
    [
        plain(format!("{cause} for {length}")),
        plain(format!("sound went on {} ago", since(gap.ended_ms, view.now_ms))),
    ]
}

fn listeners(listeners: &Listeners) -> Vec<Piece> {
    let total = listeners.sse + listeners.live + listeners.websocket;
    let mut facts = vec![match total {
        0 => plain("nobody"),
        total => Piece::new(Ink::Strong, count(total)),
    }];
    let doors = [(listeners.sse, "SSE"), (listeners.live, "live"), (listeners.websocket, "WebSocket")];
    facts
        .extend(doors.iter().filter(|(n, _)| *n > 0).map(|(n, door)| plain(format!("{} {door}", count(*n)))));
    if listeners.http > 0 {
        facts.push(Piece::new(Ink::Faint, counted(listeners.http, "HTTP connection")));
    }
    facts
}

fn quality(quality: &Quality) -> Vec<Piece> {
    vec![plain(&quality.profile), plain(scale_in_words(quality.scale))]
}

fn title(title: &str) -> Vec<Piece> {
    if title.is_empty() { Vec::new() } else { vec![plain(escape(title))] }
}

fn renditions(renditions: &[Rendition], view: &View) -> Vec<Row> {
    if renditions.is_empty() {
        return vec![Row::new("renditions", vec![plain("none, nobody needs one")])];
    }
    let name_width = renditions.iter().map(|rendition| rendition.name.len()).max().unwrap_or(0);
    let row = |(at, rendition): (usize, &Rendition)| {
        let facts = vec![
            plain(format!("{:name_width$}", rendition.name)),
            plain(counted(rendition.listeners, "listener")),
            plain(bytes(rendition.bytes)),
            plain(format!("for {}", since(rendition.since_ms, view.now_ms))),
        ];
        Row::new(if at == 0 { "renditions" } else { "" }, facts)
    };
    renditions.iter().enumerate().map(row).collect()
}

/// Servers that are fed; nothing where there are none.
fn pushes(pushes: &[Push], view: &View) -> Vec<Row> {
    let row = |(at, push): (usize, &Push)| {
        let (ink, state) = match push.state {
            PushState::Connected => (Ink::Good, "connected"),
            PushState::Connecting => (Ink::Warn, "connecting"),
            PushState::Waiting => (Ink::Bad, "failing"),
        };
        let mut facts = vec![
            plain(escape(&push.url)),
            Piece::new(ink, format!("{state} for {}", since(push.since_ms, view.now_ms))),
            plain(&push.rendition),
            plain(bytes(push.bytes)),
        ];
        facts.extend(push.reason.iter().map(|reason| Piece::new(Ink::Warn, escape(reason))));
        Row::new(if at == 0 { "pushes" } else { "" }, facts)
    };
    pushes.iter().enumerate().map(row).collect()
}

fn disk(disk: &Disk) -> Vec<Piece> {
    let mut facts = vec![plain(&disk.state_dir)];
    if let Some(free) = disk.free_bytes {
        let ink = if free < LITTLE_SPACE_BYTES { Ink::Warn } else { Ink::Plain };
        facts.push(Piece::new(ink, format!("{} free", bytes(free))));
    }
    if !disk.writable {
        facts.push(Piece::new(Ink::Bad, "not writable"));
    }
    facts
}

fn daemon(status: &Status) -> Vec<Piece> {
    vec![
        plain(format!("talasd {}", status.version)),
        plain(format!("up {}", duration(status.uptime_seconds))),
    ]
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
