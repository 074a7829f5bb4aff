//! The query of `GET /api/audio/live`, read strictly.

use crate::http::reply::Problem;
use crate::station::packets::{BITRATES_KBPS, FRAMES_MS, Form};

/// Length of packets of Opus where none is asked for, in milliseconds.
const USUAL_FRAME_MS: u32 = 10;

/// Reads `codec`, `encoding`, `bitrate` and `frame_ms`. Other parameters are left to others.
///
/// # Errors
/// 400 for a value that cannot be, one that the codec has no use for, or a parameter given twice.
pub fn form(query: &str) -> Result<Form, Problem> {
    let [mut codec, mut encoding, mut bitrate, mut frame_ms] = [const { None }; 4];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "codec" => &mut codec,
            "encoding" => &mut encoding,
            "bitrate" => &mut bitrate,
            "frame_ms" => &mut frame_ms,
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(wrong(format!("{name} is given twice")));
        }
    }
    match codec.as_deref() {
        None | Some("opus") => {
            refuse("encoding", encoding.as_deref(), "codec=pcm")?;
            let bitrate_kbps = bitrate.map(|kbps| one_of("bitrate", &kbps, &BITRATES_KBPS, "kbit/s"));
            let frame_ms = frame_ms.map(|ms| one_of("frame_ms", &ms, &FRAMES_MS, "ms")).transpose()?;
            let frame_ms = frame_ms.unwrap_or(USUAL_FRAME_MS);
            Ok(Form::Opus { bitrate_kbps: bitrate_kbps.transpose()?, frame_ms })
        }
        Some("pcm") => {
            refuse("bitrate", bitrate.as_deref(), "codec=opus")?;
            refuse("frame_ms", frame_ms.as_deref(), "codec=opus")?;
            match encoding.as_deref() {
                None | Some("s16") => Ok(Form::S16),
                Some("f32") => Ok(Form::F32),
                Some(other) => Err(wrong(format!("encoding is s16 or f32, not {}", shown(other)))),
            }
        }
        Some(other) => Err(wrong(format!("codec is opus or pcm, not {}", shown(other)))),
    }
}

fn refuse(name: &str, value: Option<&str>, only: &str) -> Result<(), Problem> {
    value.map_or(Ok(()), |_| Err(wrong(format!("{name} is for {only} alone"))))
}

fn one_of(name: &str, value: &str, possible: &[u32], unit: &str) -> Result<u32, Problem> {
    possible.iter().copied().find(|known| known.to_string() == value).ok_or_else(|| {
        let words: Vec<String> = possible.iter().map(u32::to_string).collect();
        wrong(format!("{name} is one of {} {unit}, not {}", words.join(", "), shown(value)))
    })
}

fn wrong(detail: String) -> Problem {
    Problem::bad_request("invalid_query", detail)
}

/// A stranger's word, short and printable.
fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(32).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_given() {
        let usual = Form::Opus { bitrate_kbps: None, frame_ms: 10 };
        assert_eq!(form(""), Ok(usual));
        assert_eq!(form("token=x&codec=opus"), Ok(usual));
        let other = Form::Opus { bitrate_kbps: Some(96), frame_ms: 5 };
        assert_eq!(form("frame_ms=5&bitrate=96"), Ok(other));
        assert_eq!(form("codec=pcm"), Ok(Form::S16));
        assert_eq!(form("codec=pcm&encoding=s16"), Ok(Form::S16));
        assert_eq!(form("encoding=f32&codec=pcm"), Ok(Form::F32));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_could_be() {
        for (query, said) in [
            ("codec=mp3", "opus or pcm"),
            ("codec=", "opus or pcm"),
            ("codec=opus&codec=opus", "twice"),
            ("bitrate=100", "96, 128"),
            ("bitrate=096", "96, 128"),
            ("bitrate=-1", "96, 128"),
            ("bitrate=", "96, 128"),
            ("frame_ms=40", "5, 10, 20"),
            ("frame_ms=10.0", "5, 10, 20"),
            ("encoding=f32", "codec=pcm alone"),
            ("codec=pcm&bitrate=96", "codec=opus alone"),
            ("codec=pcm&frame_ms=10", "codec=opus alone"),
            ("codec=pcm&encoding=json", "s16 or f32"),
            ("codec=%00%ff", "opus or pcm"),
        ] {
            let problem = form(query).expect_err(query);
            assert_eq!((problem.status.as_u16(), problem.code), (400, "invalid_query"), "{query}");
            assert!(problem.detail.contains(said) && problem.detail.len() < 120, "{}", problem.detail);
        }
    }
}
