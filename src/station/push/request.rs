//! What is said to a server of the Icecast kind and what it answers. Pure: texts only.
//!
//! A source is one request whose body never ends: `PUT` with `Expect: 100-continue`, as Icecast has taken it
//! since 2.4, or the `SOURCE` that older servers know. Neither has a length, and the body is not chunked: these
//! servers take what comes as it is. Titles of containers that have no place for them go beside the stream, by
//! `GET /admin/metadata`.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::settings::Settings;
use super::target::Target;
use crate::codec::EncoderSettings;
use crate::error::{Error, Kind, Result};
use crate::station::live::Suffix;
use crate::tools::secret::Secret;

/// Longest head of an answer. Icecast's have a few hundred bytes.
pub const HEAD_BYTES: usize = 8 * 1024;
/// Header lines in an answer at most.
const HEADERS: usize = 32;
/// Most of a server's own words that are passed on.
const WORDS: usize = 120;

/// How a source introduces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As HTTP has it.
    Put,
    /// As servers before Icecast 2.4 want it.
    Source,
}

/// What the head of a source tells of it.
#[derive(Debug)]
pub struct Introduction<'a> {
    /// Where to, and what is told to listeners.
    pub settings: &'a Settings,
    /// The mount point.
    pub target: &'a Target,
    /// What `settings` has no name for is called so.
    pub station_name: &'a str,
    /// How the sound is encoded.
    pub encoding: &'a EncoderSettings,
}

impl Introduction<'_> {
    /// The head of the request that the sound follows.
    pub fn head(&self, method: Method, password: &Secret) -> Zeroizing<String> {
        let Self { settings, target, encoding, .. } = self;
        let mut head = Zeroizing::new(String::with_capacity(1024));
        let name = if settings.name.is_empty() { self.station_name } else { &settings.name };
        // Writing to a string cannot fail.
        let _ = match method {
            Method::Put => write!(head, "PUT {} HTTP/1.1\r\n", target.mount()),
            Method::Source => write!(head, "SOURCE {} HTTP/1.0\r\n", target.mount()),
        };
        begin(&mut head, target, &settings.user, password);
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = write!(head, "{name}: {value}\r\n");
            }
        };
        line("Content-Type", content_type(settings.format));
        line("Ice-Name", name);
        line("Ice-Description", &settings.description);
        line("Ice-Genre", &settings.genre);
        line("Ice-Public", if settings.public { "1" } else { "0" });
        line("Ice-Audio-Info", &audio_info(encoding));
        if method == Method::Put {
            line("Expect", "100-continue");
        }
        head.push_str("\r\n");
        head
    }
}

/// The request that sets a title.
pub fn title_head(target: &Target, user: &str, password: &Secret, title: &str) -> Zeroizing<String> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut head = Zeroizing::new(String::with_capacity(1024));
    let (mount, title) = (encoded(target.mount()), encoded(title));
    let _ = write!(
        head,
        "GET /admin/metadata?mode=updinfo&mount={mount}&charset=UTF-8&song={title} HTTP/1.0\r\n"
    );
    begin(&mut head, target, user, password);
    head.push_str("\r\n");
    head
}

/// The lines that every request has.
fn begin(head: &mut Zeroizing<String>, target: &Target, user: &str, password: &Secret) {
    let credentials = Zeroizing::new(format!("{user}:{}", password.expose()));
    let credentials = Zeroizing::new(BASE64_STANDARD.encode(credentials.as_bytes()));
    let agent = concat!("talasd/", env!("CARGO_PKG_VERSION"));
    let _ = write!(
        head,
        "Host: {}\r\nAuthorization: Basic {}\r\nUser-Agent: {agent}\r\n",
        target.authority(),
        credentials.as_str()
    );
}

/// Icecast compares the whole value: with a parameter it would not know Ogg.
const fn content_type(format: Suffix) -> &'static str {
    match format {
        Suffix::Opus | Suffix::Ogg | Suffix::Oga => "application/ogg",
        other => other.content_type(),
    }
}

fn audio_info(encoding: &EncoderSettings) -> String {
    let (rate, channels) = (encoding.sample_rate, encoding.channels);
    let mut info = format!("samplerate={rate};channels={channels}");
    if !encoding.codec.is_lossless() {
        let _ = write!(info, ";bitrate={}", encoding.bitrate());
    }
    info
}

/// Whether a server is told titles of such a stream beside it. Ogg carries its own.
pub const fn takes_titles(format: Suffix) -> bool {
    format.has_icy()
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The words beside it.
    pub reason: String,
    /// Where its head ends.
    pub head_bytes: usize,
}

impl Answer {
    /// Reads the head of an answer; `None` while there is more to come.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] for what is no HTTP.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let no_http = || Error::new(Kind::Unavailable, "the server answers with what is no HTTP");
        match response.parse(bytes).map_err(|_| no_http())? {
            httparse::Status::Complete(head_bytes) => {
                let status = response.code.ok_or_else(no_http)?;
                let reason = plain(response.reason.unwrap_or(""));
                Ok(Some(Self { status, reason, head_bytes }))
            }
            httparse::Status::Partial if bytes.len() >= HEAD_BYTES => Err(no_http()),
            httparse::Status::Partial => Ok(None),
        }
    }

    /// Whether the sound may follow.
    pub const fn is_yes(&self) -> bool {
        matches!(self.status, 100 | 200..=299)
    }

    /// Status and words, and what the page under the head says.
    pub fn words(&self, page: &[u8]) -> String {
        let mut words = format!("{} {}", self.status, self.reason);
        let page = without_tags(&String::from_utf8_lossy(page));
        if !page.is_empty() && page != self.reason {
            let _ = write!(words, ": {page}");
        }
        words
    }
}

/// The text of a page of HTML: enough for the one sentence that these servers send.
fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let is_title = tag.starts_with("title") || tag.starts_with("head");
        let end =
            if is_title { tag.find("</head>").map(|at| at + "</head>".len() - 1) } else { tag.find('>') };
        rest = end.and_then(|end| tag.get(end + 1..)).unwrap_or("");
    }
    text.push_str(rest);
    plain(&text)
}

/// What a stranger wrote, as it may stand in a line of the journal.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    fn settings() -> Settings {
        Settings {
            url: Some("icecast://radio.example/a%20b".parse().expect("valid")),
            description: "A café".to_owned(),
            public: true,
            ..Settings::default()
        }
    }

    fn head(settings: &Settings, method: Method) -> String {
        let mut encoding = EncoderSettings::new(Codec::Mp3, 44_100, 2);
        encoding.bitrate_kbps = Some(128);
        let introduction = Introduction {
            target: settings.url.as_ref().expect("set"),
            settings,
            station_name: "Talas",
            encoding: &encoding,
        };
        introduction.head(method, &Secret::new("hackme")).to_string()
    }

    #[test]
    fn a_source_introduces_itself() {
        assert_eq!(
            head(&settings(), Method::Put),
            concat!(
                "PUT /a%20b HTTP/1.1\r\nHost: radio.example:8000\r\n",
                "Authorization: Basic c291cmNlOmhhY2ttZQ==\r\nUser-Agent: talasd/",
                env!("CARGO_PKG_VERSION"),
                "\r\nContent-Type: audio/mpeg\r\nIce-Name: Talas\r\nIce-Description: A café\r\n",
                "Ice-Public: 1\r\nIce-Audio-Info: samplerate=44100;channels=2;bitrate=128\r\n",
                "Expect: 100-continue\r\n\r\n"
            )
        );
        let source = head(&settings(), Method::Source);
        assert!(source.starts_with("SOURCE /a%20b HTTP/1.0\r\n") && !source.contains("Expect"), "{source}");
        let opus = head(&Settings { format: Suffix::Opus, ..settings() }, Method::Put);
        assert!(opus.contains("Content-Type: application/ogg\r\n"), "{opus}");
    }

    #[test]
    fn a_title_is_one_parameter_whatever_is_in_it() {
        let settings = settings();
        let target = settings.url.as_ref().expect("set");
        let head = title_head(target, "source", &Secret::new("x"), "Sturm & Drang = 100 %\u{df}");
        let line = head.lines().next().expect("a line");
        assert_eq!(
            line,
            "GET /admin/metadata?mode=updinfo&mount=%2Fa%2520b&charset=UTF-8\
             &song=Sturm%20%26%20Drang%20%3D%20100%20%25%C3%9F HTTP/1.0"
        );
    }

    #[test]
    fn answers_are_read_as_far_as_they_came() {
        let whole = b"HTTP/1.0 403 Forbidden\r\nContent-Type: text/html\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(Answer::parse(&whole[..end]).expect("HTTP so far"), None, "{end}");
        }
        let answer = Answer::parse(whole).expect("HTTP").expect("whole");
        assert_eq!((answer.status, answer.head_bytes, answer.is_yes()), (403, whole.len(), false));
        let page =
            b"<html><head><title>Error 403</title></head><body><b>Mountpoint\x1b in use</b></body></html>";
        assert_eq!(answer.words(page), "403 Forbidden: Mountpoint in use");
        assert_eq!(answer.words(b"Forbidden"), "403 Forbidden");
        assert!(answer.words(&[b'x'; 9000]).len() < 200);
        let go = Answer::parse(b"HTTP/1.1 100 Continue\r\n\r\n").expect("HTTP").expect("whole");
        assert!(go.is_yes());
        assert!(Answer::parse(b"ICY 200 OK\r\n\r\n").is_err());
        assert!(
            Answer::parse(&[b"HTTP/1.0 200 OK\r\nx: ".as_slice(), &[b'a'; HEAD_BYTES]].concat()).is_err()
        );
    }
}
