//! The effects of the programme: what they are, and what each does now.

use talas_wire::{EffectState, Process};

use super::View;
use crate::human::trimmed;
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, flow, plain};

/// The whole page.
pub fn page(process: &Process, view: &View) -> Page {
    if process.effects.is_empty() {
        return vec![Line::of(plain("no effects: sound passes as it came in"))];
    }
    let mut page = Page::new();
    if process.bypass {
        page.push(Line::of(Piece::new(Ink::Warn, "bypassed: sound passes the effects by")));
    }
    for effect in &process.effects {
        page.extend(flow(
            Piece::new(Ink::Strong, format!("{} ", effect.kind)),
            SEPARATOR,
            facts(effect),
            view.columns,
        ));
    }
    if process.latency_ms > 0.0 {
        page.push(Line::of(Piece::new(Ink::Faint, format!("delay {} ms", trimmed(process.latency_ms, 1)))));
    }
    page
}

/// What it does first, what it is set to next.
fn facts(effect: &EffectState) -> Vec<Piece> {
    let mut facts: Vec<Piece> = now(effect).into_iter().map(|now| Piece::new(Ink::Good, now)).collect();
    let settings =
        effect.parameters.iter().map(|(name, value)| plain(format!("{name} {}", trimmed(*value, 3))));
    facts.extend(settings);
    facts
}

fn now(effect: &EffectState) -> Option<String> {
    let lowers = effect.reduction_db.map(|db| format!("lowers by {} dB", trimmed(db.max(0.0), 1)));
    lowers.or_else(|| effect.correction_db.map(|db| format!("raises by {} dB", trimmed(db, 1))))
}

/// For the status: nothing where there are none.
pub fn summary(process: &Process) -> Vec<Piece> {
    let kinds: Vec<&str> = process.effects.iter().map(|effect| effect.kind.as_str()).collect();
    match (process.effects.is_empty(), process.bypass) {
        (true, _) => Vec::new(),
        (false, true) => vec![Piece::new(Ink::Warn, "bypassed"), plain(kinds.join(", "))],
        (false, false) => vec![plain(kinds.join(", "))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let process = serde_json::from_str(json).expect("a process");
        let view = View { now_ms: 0, columns: None };
        page(&process, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn effects_say_what_they_do_and_are() {
        let shown = text(
            r#"{"bypass":false,"latency_ms":5.0,"effects":[
                {"type":"compressor","reduction_db":3.26,"ratio":4.0,"threshold_db":-20.0},
                {"type":"loudness","correction_db":-2.0,"target_lufs":-16.0},
                {"type":"gain","gain_db":1.5}]}"#,
        );
        for part in
            ["compressor", "lowers by 3.3 dB", "ratio 4", "raises by -2 dB", "gain_db 1.5", "delay 5 ms"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("bypass"), "{shown}");
    }

    #[test]
    fn no_effects_and_a_bypass_are_said() {
        assert_eq!(
            text(r#"{"bypass":false,"latency_ms":0.0,"effects":[]}"#),
            "no effects: sound passes as it came in\n"
        );
        let shown =
            text(r#"{"bypass":true,"latency_ms":0.0,"effects":[{"type":"limiter","ceiling_dbtp":-1.0}]}"#);
        assert!(shown.starts_with("bypassed: sound passes the effects by\n"), "{shown}");
    }
}
