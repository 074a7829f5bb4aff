//! The addresses of live streams and what may be asked in their queries, read strictly.

use crate::http::reply::Problem;
use crate::station::live::{Cadence, Suffix};

/// What a player asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The profile; `None` follows the chosen one.
    pub profile: Option<String>,
    /// Codec and container.
    pub suffix: Suffix,
    /// How packets come.
    pub cadence: Cadence,
}

/// Reads the last part of `/live/{profile}.{ext}`.
///
/// # Errors
/// 404 for a name without a known ending.
pub fn file(name: &str) -> Result<(&str, Suffix), Problem> {
    let (profile, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    Ok((profile, Suffix::parse(suffix)?))
}

/// Reads `latency` and `chain`. Other parameters are left to others.
///
/// # Errors
/// 400 for an unknown word, a parameter given twice, or two that do not go together.
pub fn cadence(query: &str) -> Result<Cadence, Problem> {
    let wrong = |detail: &str| Err(Problem::bad_request("invalid_query", detail));
    let (mut is_low, mut is_chained) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let is_twice = match (name.as_ref(), value.as_ref()) {
            ("latency", "low") => is_low.replace(true).is_some(),
            ("latency", "normal") => is_low.replace(false).is_some(),
            ("latency", _) => return wrong("latency is low or normal"),
            ("chain", "1") => is_chained.replace(true).is_some(),
            ("chain", "0") => is_chained.replace(false).is_some(),
            ("chain", _) => return wrong("chain is 1 or 0"),
            _ => false,
        };
        if is_twice {
            return wrong(&format!("{name} is given twice"));
        }
    }
    match (is_low.unwrap_or(false), is_chained.unwrap_or(false)) {
        (true, true) => wrong("latency=low and chain=1 do not go together"),
        (true, false) => Ok(Cadence::Prompt),
        (false, true) => Ok(Cadence::Chained),
        (false, false) => Ok(Cadence::Grouped),
    }
}

/// What asks for a cadence.
pub const fn query(cadence: Cadence) -> &'static str {
    match cadence {
        Cadence::Grouped => "",
        Cadence::Prompt => "?latency=low",
        Cadence::Chained => "?chain=1",
    }
}

/// What a playlist is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistWish {
    /// The profile; `None` follows the chosen one.
    pub profile: Option<String>,
    /// Codec and container, where they are said.
    pub suffix: Option<Suffix>,
    /// How packets come.
    pub cadence: Cadence,
}

/// Reads `profile`, `format`, `latency` and `chain`. Other parameters are left to others.
///
/// # Errors
/// 400 for an unknown word, or a parameter given twice.
pub fn playlist(query: &str) -> Result<PlaylistWish, Problem> {
    let mut wish = PlaylistWish { profile: None, suffix: None, cadence: cadence(query)? };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let is_twice = match name.as_ref() {
            "profile" => wish.profile.replace(value.into_owned()).is_some(),
            "format" => {
                let suffix = Suffix::parse(&value).map_err(|_| {
                    let detail = "format is mp3, aac, m4a, opus, ogg, oga, flac or wav";
                    Problem::bad_request("invalid_query", detail)
                })?;
                wish.suffix.replace(suffix).is_some()
            }
            _ => false,
        };
        if is_twice {
            return Err(Problem::bad_request("invalid_query", format!("{name} is given twice")));
        }
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_profile_and_an_ending() {
        assert_eq!(file("high.mp3"), Ok(("high", Suffix::Mp3)));
        assert_eq!(file("a.b.opus"), Ok(("a.b", Suffix::Opus)));
        for wrong in ["high", "high.", "mp3", "high.MP3", "high.mp3.exe"] {
            assert_eq!(file(wrong).expect_err(wrong).status, http::StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn queries_are_strict_about_what_is_theirs() {
        assert_eq!(cadence(""), Ok(Cadence::Grouped));
        assert_eq!(cadence("token=x&latency=low"), Ok(Cadence::Prompt));
        assert_eq!(cadence("chain=1&latency=normal"), Ok(Cadence::Chained));
        assert_eq!(cadence("chain=0"), Ok(Cadence::Grouped));
        for wrong in [
            "latency=",
            "latency=0",
            "latency=low&latency=low",
            "latency=LOW",
            "chain=",
            "chain=true",
            "chain=1&chain=1",
            "chain=1&latency=low",
        ] {
            assert_eq!(cadence(wrong).expect_err(wrong).status, http::StatusCode::BAD_REQUEST);
        }
        let wish = playlist("format=opus&profile=low&latency=low").expect("valid");
        assert_eq!(
            (wish.profile.as_deref(), wish.suffix, wish.cadence),
            (Some("low"), Some(Suffix::Opus), Cadence::Prompt)
        );
        for wrong in ["format=", "format=exe", "format=mp3&format=mp3", "profile=a&profile=a", "latency=x"] {
            assert_eq!(playlist(wrong).expect_err(wrong).status, http::StatusCode::BAD_REQUEST);
        }
    }
}
