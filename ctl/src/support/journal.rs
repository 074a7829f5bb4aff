//! The journal as text, with the fields that say what a line is about: as journalctl prints it for people, it
//! leaves them out.

use serde_json::{Map, Value};

/// The fields of ours begin so.
const OURS: &str = "TALAS_";

/// What `journalctl --output json` printed, a line each: when, how grave, what, and our fields. What is no such
/// line stays as it is.
pub fn lines(json: &str) -> String {
    json.lines()
        .map(|line| serde_json::from_str(line).map_or_else(|_| line.to_owned(), |entry| shown(&entry)) + "\n")
        .collect()
}

fn shown(entry: &Map<String, Value>) -> String {
    let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or("-");
    let mut ours: Vec<String> = entry
        .iter()
        .filter_map(|(name, value)| {
            Some(format!(" {name}={}", value.as_str().filter(|_| name.starts_with(OURS))?))
        })
        .collect();
    ours.sort();
    let microseconds = field("__REALTIME_TIMESTAMP").parse::<u64>().unwrap_or_default();
    format!(
        "{}.{:06} <{}> {}: {}{}",
        microseconds / 1_000_000,
        microseconds % 1_000_000,
        field("PRIORITY"),
        field("SYSLOG_IDENTIFIER"),
        field("MESSAGE"),
        ours.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_fields_are_shown_and_no_others() {
        let json = r#"{"MESSAGE":"sound was missing","PRIORITY":"4","_PID":"7","TALAS_REASON":"overrun","TALAS_EVENT":"capture_gap","SYSLOG_IDENTIFIER":"talasd","__REALTIME_TIMESTAMP":"1795175142000779"}
-- No entries --"#;
        let expected = "1795175142.000779 <4> talasd: sound was missing TALAS_EVENT=capture_gap TALAS_REASON=overrun\n-- No entries --\n";
        assert_eq!(lines(json), expected);
    }
}
