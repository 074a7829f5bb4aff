//! Query strings of the live stream, read strictly: a value that means nothing is told, not ignored.

use super::extra::Wanted;
use super::reply::Problem;
use crate::codec::frames::Encoding;
use crate::station::{Scale, Station};

/// What a listener asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamQuery {
    /// How samples are written.
    pub encoding: Encoding,
    /// At which rate; `None` follows the global quality.
    pub scale: Option<Scale>,
    /// Blocks a second at most; `None` wants all.
    pub max_fps: Option<f64>,
    /// Further events.
    pub events: Wanted,
}

impl StreamQuery {
    /// What the stream needs at least while sound flows, in Mbit/s: its samples alone, written shortly.
    pub fn needs_mbps(&self, station: &Station) -> f64 {
        let bytes_per_sample = match self.encoding {
            // The shortest that speech or music is written with, not silence.
            Encoding::Json => 8.0,
            Encoding::Deflate => 3.0,
            Encoding::F32 => 4.0 * BASE64,
            Encoding::S16 => 2.0 * BASE64,
        };
        let scale = self.scale.unwrap_or_else(|| station.scale()).value();
        let all = station.blocks_per_second();
        let wanted = self.max_fps.map_or(1.0, |fps| (fps / all).min(1.0));
        station.samples_per_second() * scale * wanted * bytes_per_sample * 8.0 / 1e6
    }
}

/// Characters of base64 for each byte.
const BASE64: f64 = 4.0 / 3.0;

/// Reads `encoding`, `quality`, `max_fps` and `events`. Other parameters are left to others.
///
/// # Errors
/// 400 for a value out of range, an unknown word, or a parameter given twice.
pub fn stream(query: &str) -> Result<StreamQuery, Problem> {
    let mut encoding = None;
    let mut scale = None;
    let mut max_fps = None;
    let mut events = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "encoding" => once(&mut encoding, "encoding", encoding_of(&value)?)?,
            "quality" => once(&mut scale, "quality", scale_of(&value)?)?,
            "max_fps" => once(&mut max_fps, "max_fps", fps_of(&value)?)?,
            "events" => once(&mut events, "events", events_of(&value)?)?,
            _ => {}
        }
    }
    let encoding = encoding.unwrap_or(Encoding::Json);
    Ok(StreamQuery { encoding, scale, max_fps, events: events.unwrap_or_default() })
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    if slot.replace(value).is_some() {
        return Err(Problem::bad_request("invalid_query", format!("{name} is given twice")));
    }
    Ok(())
}

fn encoding_of(value: &str) -> Result<Encoding, Problem> {
    Encoding::ALL.iter().find(|(name, _)| *name == value).map(|(_, encoding)| *encoding).ok_or_else(|| {
        Problem::bad_request(
            "invalid_query",
            format!("encoding is json, f32, s16 or deflate, not {}", shown(value)),
        )
    })
}

fn scale_of(value: &str) -> Result<Scale, Problem> {
    let wrong = || {
        Problem::bad_request(
            "invalid_query",
            format!("quality is a number from 0.1 to 1.0, not {}", shown(value)),
        )
    };
    let wish = value.parse::<f64>().map_err(|_| wrong())?;
    Scale::nearest(wish).map_err(|_| wrong())
}

/// Slower than this is no stream, and faster than this no programme is.
const FPS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

fn fps_of(value: &str) -> Result<f64, Problem> {
    value.parse::<f64>().ok().filter(|fps| FPS.contains(fps)).ok_or_else(|| {
        Problem::bad_request(
            "invalid_query",
            format!("max_fps is a number from 0.01 to 1000, not {}", shown(value)),
        )
    })
}

fn events_of(value: &str) -> Result<Wanted, Problem> {
    let mut wanted = Wanted::default();
    for word in value.split(',') {
        match word {
            "meters" => wanted.meters = true,
            "quality" => wanted.quality = true,
            "spectrum" => wanted.spectrum = true,
            _ => {
                let detail =
                    format!("events is a list of meters, quality and spectrum, not {}", shown(value));
                return Err(Problem::bad_request("invalid_query", detail));
            }
        }
    }
    Ok(wanted)
}

/// A stranger's word, short and printable.
fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(32).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    #[test]
    fn reads_what_was_asked_and_defaults_the_rest() {
        let parsed = stream("").expect("empty");
        let events = Wanted::default();
        assert_eq!(parsed, StreamQuery { encoding: Encoding::Json, scale: None, max_fps: None, events });
        let parsed = stream("max_fps=12.5&events=quality,meters").expect("valid");
        let events = Wanted { meters: true, quality: true, spectrum: false };
        assert_eq!((parsed.max_fps, parsed.events), (Some(12.5), events));
        let parsed = stream("quality=0.25&token=x&encoding=s16").expect("valid");
        assert_eq!((parsed.encoding, parsed.scale.map(Scale::factor)), (Encoding::S16, Some(4)));
    }

    #[test]
    fn nonsense_is_told() {
        for query in [
            "encoding=",
            "encoding=JSON",
            "encoding=mp3",
            "quality=",
            "quality=2",
            "quality=0",
            "quality=-1",
            "quality=NaN",
            "quality=inf",
            "quality=high",
            "quality=0.5&quality=0.5",
            "encoding=json&encoding=f32",
            "quality=1e400",
            "encoding=%00",
            "encoding=%ff%fe",
            "max_fps=0",
            "max_fps=-1",
            "max_fps=NaN",
            "max_fps=1e9",
            "max_fps=",
            "events=",
            "events=all",
            "events=meters,,quality",
        ] {
            let problem = stream(query).expect_err(query);
            assert_eq!(problem.status, http::StatusCode::BAD_REQUEST);
            assert!(problem.detail.len() < 200, "{}", problem.detail);
        }
    }

    #[test]
    fn fuzz_query() {
        const SEEDS: &[&str] =
            &["encoding=s16&quality=0.5&max_fps=10&events=meters,quality", "token=a.b.c&encoding=json", ""];
        const WORDS: &[&str] = &[
            "&",
            "=",
            "%",
            "%00",
            "+",
            ",",
            "encoding=",
            "quality=",
            "max_fps=",
            "events=",
            "1e309",
            "NaN",
            "-0",
        ];
        fuzz(
            SEEDS,
            WORDS,
            as_text(|query| match stream(query) {
                Ok(wanted) => {
                    assert!(wanted.max_fps.is_none_or(|fps| FPS.contains(&fps)));
                    assert!(wanted.scale.is_none_or(|scale| (0.125..=1.0).contains(&scale.value())));
                }
                Err(problem) => assert!(problem.status == 400 && problem.detail.len() < 300, "{problem:?}"),
            }),
        );
    }
}
