//! The short answers: what a command changed, in a line or two.

use serde::Deserialize;
use talas_wire::{Fault, Quality, ReloadReport, State, Version};

use crate::human::{milliseconds, trimmed};
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, escape, plain};

/// Answer of `capture.pause` and `capture.resume`.
#[derive(Debug, Deserialize)]
pub struct StateNow {
    state: State,
    /// What the change does not do.
    #[serde(default)]
    warning: Option<String>,
}

/// Answer of `log.set`.
#[derive(Debug, Deserialize)]
pub struct LogLevelNow {
    level: String,
}

/// Answer of `tone.set`.
#[derive(Debug, Deserialize)]
pub struct ToneNow {
    frequency_hz: Option<f64>,
    level_dbfs: Option<f64>,
    #[serde(default)]
    silence: bool,
}

/// After `pause`.
pub fn paused(now: &StateNow) -> Page {
    let line = match now.state {
        State::Paused => {
            Line::of(Piece::new(Ink::Warn, "paused")).and(plain(": no captured sound goes anywhere"))
        }
        other => Line::of(plain(format!("asked to pause; the programme is {}", other.as_str()))),
    };
    with_warning(line, now.warning.as_deref())
}

/// After `resume`: an end of the pause is not yet sound.
pub fn resumed(now: &StateNow) -> Page {
    let line = match now.state {
        State::Running => Line::of(Piece::new(Ink::Good, "running")).and(plain(": the pause has ended")),
        other => Line::of(plain("the pause has ended, but the programme is "))
            .and(Piece::new(Ink::Warn, other.as_str())),
    };
    with_warning(line, now.warning.as_deref())
}

fn with_warning(line: Line, warning: Option<&str>) -> Page {
    let warning = warning.iter().map(|warning| Line::of(Piece::new(Ink::Warn, format!("! {warning}"))));
    std::iter::once(line).chain(warning).collect()
}

/// Answer of `quality.get` and `quality.set`.
#[derive(Debug, Deserialize)]
pub struct QualityNow {
    #[serde(flatten)]
    quality: Quality,
    /// What the change does not do.
    #[serde(default)]
    warning: Option<String>,
}

/// After `quality`, asked or set.
pub fn quality(now: &QualityNow) -> Page {
    let line = Line::of(Piece::new(Ink::Strong, &now.quality.profile))
        .and(Piece::new(Ink::Faint, SEPARATOR))
        .and(plain(scale_in_words(now.quality.scale)));
    with_warning(line, now.warning.as_deref())
}

/// What is playing.
#[derive(Debug, Deserialize)]
pub struct TitleNow {
    title: String,
}

/// After `title`, asked or set.
pub fn title(now: &TitleNow) -> Page {
    let shown = if now.title.is_empty() {
        Piece::new(Ink::Faint, "no title")
    } else {
        Piece::new(Ink::Strong, escape(&now.title))
    };
    vec![Line::of(shown)]
}

/// What a scale means for the rate of frames.
pub fn scale_in_words(scale: f64) -> String {
    if scale >= 1.0 {
        "full rate".to_owned()
    } else if scale > 0.0 && (1.0 / scale).fract() == 0.0 {
        format!("1/{} of the rate", 1.0 / scale)
    } else {
        format!("{} of the rate", trimmed(scale, 3))
    }
}

/// After `reload`.
pub fn reloaded(report: &ReloadReport) -> Page {
    if report.applied.is_empty() && report.needs_restart.is_empty() {
        return vec![Line::of(plain("the configuration has not changed"))];
    }
    let mut page = Page::new();
    list(&mut page, Piece::new(Ink::Good, "in force now:"), &report.applied);
    list(&mut page, Piece::new(Ink::Warn, "only after a restart of talasd:"), &report.needs_restart);
    page
}

fn list(page: &mut Page, head: Piece, keys: &[String]) {
    if !keys.is_empty() {
        page.push(Line::of(head));
        page.extend(keys.iter().map(|key| Line::of(plain("  ")).and(plain(key))));
    }
}

/// After `log`.
pub fn log_level(now: &LogLevelNow) -> Page {
    vec![Line::of(plain("talasd logs at level ")).and(Piece::new(Ink::Strong, &now.level))]
}

/// The daemon's half of `version`.
pub fn version(version: &Version) -> Page {
    let [major, minor] = version.proto;
    vec![Line::of(plain(format!("talasd {} (protocol {major}.{minor})", version.daemon)))]
}

/// After a change of the tone: what it is now.
pub fn tone(now: &ToneNow) -> Page {
    let frequency = now.frequency_hz.map(|hz| format!("{} Hz", trimmed(hz, 3)));
    let level = now.level_dbfs.map(|dbfs| format!("{} dBFS", trimmed(dbfs, 2)));
    let facts = match (now.silence, frequency, level) {
        (true, ..) => "silence".to_owned(),
        (false, Some(frequency), Some(level)) => format!("{frequency} at {level}"),
        (false, Some(one), None) | (false, None, Some(one)) => one,
        (false, None, None) => "as asked".to_owned(),
    };
    vec![Line::of(plain("tone: ")).and(Piece::new(Ink::Strong, facts))]
}

/// After a rehearsed fault; the daemon has nothing to add.
pub fn fault(fault: Fault, ms: u64) -> Page {
    vec![Line::of(plain(format!("rehearsing: {} of {}", fault.as_str(), milliseconds(ms))))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &Page) -> String {
        page.iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn resuming_does_not_promise_sound() {
        assert_eq!(
            text(&resumed(&StateNow { state: State::Running, warning: None })),
            "running: the pause has ended\n"
        );
        assert_eq!(
            text(&resumed(&StateNow { state: State::Absent, warning: None })),
            "the pause has ended, but the programme is absent\n"
        );
    }

    #[test]
    fn a_pause_that_a_restart_would_end_says_so() {
        let warning = Some("the pause will not outlive a restart".to_owned());
        assert_eq!(
            text(&paused(&StateNow { state: State::Paused, warning })),
            "paused: no captured sound goes anywhere\n! the pause will not outlive a restart\n"
        );
    }

    #[test]
    fn scales_are_words() {
        assert_eq!(scale_in_words(1.0), "full rate");
        assert_eq!(scale_in_words(0.125), "1/8 of the rate");
        assert_eq!(scale_in_words(0.3), "0.3 of the rate");
        assert_eq!(scale_in_words(0.0), "0 of the rate");
    }

    #[test]
    fn a_tone_says_what_it_knows() {
        let tone_of = |json: &str| text(&tone(&serde_json::from_str(json).expect("a tone")));
        assert_eq!(tone_of(r#"{"frequency_hz":440.0,"level_dbfs":-20.5}"#), "tone: 440 Hz at -20.5 dBFS\n");
        assert_eq!(tone_of(r#"{"frequency_hz":440.0,"silence":true}"#), "tone: silence\n");
        assert_eq!(tone_of("{}"), "tone: as asked\n");
    }

    #[test]
    fn a_reload_names_what_waits() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect();
        let report = ReloadReport { applied: keys(&["http.cors"]), needs_restart: keys(&["http.listen"]) };
        assert_eq!(
            text(&reloaded(&report)),
            "in force now:\n  http.cors\nonly after a restart of talasd:\n  http.listen\n"
        );
        assert_eq!(text(&reloaded(&ReloadReport::default())), "the configuration has not changed\n");
    }
}
