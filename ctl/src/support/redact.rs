//! What does not leave the machine: secrets, addresses and names. All of it is pure.
//!
//! Texts of other programs have no structure to go by, so they are taken apart into words, and each word is
//! judged by its look and by the word before it. Better too much is taken out than too little.

use std::net::IpAddr;

use serde_json::Value;

/// Fields of the daemon's answers that say who somebody is.
const PERSONAL: [&str; 9] =
    ["ip_address", "address", "addresses", "user_id", "user_agent", "sub", "credential", "token", "title"];
/// Words after which a secret stands, as in `token=…` and `"key": "…"`.
const BEFORE_SECRETS: [&str; 9] =
    ["token", "sig", "signature", "key", "secret", "password", "passwd", "authorization", "bearer"];
/// A word as long as this, of hexadecimal digits or of base64, may be a secret.
const LONG: usize = 32;

/// Takes out what is nobody's business.
#[derive(Debug)]
pub struct Redactor {
    host: String,
}

impl Redactor {
    /// Knows the name of this machine.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_ascii_lowercase() }
    }

    /// A text without them.
    pub fn text(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut before = Before::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| is_of_word(c) != is_of_word(first)).unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            rest = tail;
            // A colon at the end stands between words: `key: …`.
            let word = if is_of_word(first) { part.trim_end_matches(':') } else { "" };
            let gap = &part[word.len()..];
            if !word.is_empty() {
                clean.push_str(self.judge(word, &before).unwrap_or(word));
                before = Before { word: word.to_ascii_lowercase(), gap: String::new() };
            }
            clean.push_str(gap);
            before.gap.push_str(gap);
        }
        clean
    }

    /// What stands in a word's place, where it must not stand.
    fn judge(&self, word: &str, before: &Before) -> Option<&'static str> {
        let bare = word.trim_matches(['.', ':', '-']);
        if before.announces_secret() && !bare.is_empty() {
            return Some("[secret]");
        }
        if is_token(bare) {
            return Some("[token]");
        }
        if is_foreign_address(word) || is_foreign_address(bare) {
            return Some("[address]");
        }
        if word.contains('@') && before.gap.ends_with("://") {
            return Some("[somebody]@[somewhere]");
        }
        if before.word == "home" && before.gap == "/" {
            return Some("[user]");
        }
        let name = bare.to_ascii_lowercase();
        let is_host = !self.host.is_empty() && self.host != "localhost" && name == self.host;
        is_host.then_some("[host]")
    }
}

/// The word before a word, and what is between them.
#[derive(Debug, Default)]
struct Before {
    word: String,
    gap: String,
}

impl Before {
    fn announces_secret(&self) -> bool {
        // `key=`, `"key": "` and `Bearer `, but not the key of a sentence, nor one of the line before.
        let is_assigned = self.gap.contains(['=', ':']) && !self.gap.contains('\n');
        let is_bearer = self.word == "bearer" && self.gap == " ";
        is_bearer || (is_assigned && BEFORE_SECRETS.contains(&self.word.as_str()))
    }
}

/// Letters, digits, and what stands within addresses and tokens.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '@' | '+' | '%')
}

/// A token, an API key, or something as long as a secret and as hard to read.
fn is_token(word: &str) -> bool {
    if word.starts_with("eyJ") || (word.starts_with("talas_") && word.len() >= LONG) {
        return true;
    }
    let is_code = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'));
    let longest = word.split('-').map(str::len).max().unwrap_or(0);
    is_code && longest >= LONG && word.chars().any(|c| c.is_ascii_digit())
}

/// An address of another machine, alone or with a port.
fn is_foreign_address(word: &str) -> bool {
    let without_port = word.rsplit_once(':').map_or(word, |(address, _)| address);
    let address = word.parse::<IpAddr>().or_else(|_| without_port.parse::<IpAddr>());
    address.is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Takes personal fields out of an answer of the daemon.
pub fn value(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if PERSONAL.contains(&name.as_str()) && field.as_str() != Some("") && !field.is_null() {
                    *field = Value::String("[redacted]".to_owned());
                } else {
                    self::value(field);
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(self::value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        Redactor::new("studio").text(text)
    }

    #[test]
    fn secrets_addresses_and_names_are_taken_out() {
        for (text, expected) in [
            ("from 192.168.1.7:5512 to 127.0.0.1:8080", "from [address] to 127.0.0.1:8080"),
            ("[2001:db8::7]:5512 and [::1]:8080", "[[address]]:5512 and [::1]:8080"),
            ("fe80::1, 10.0.0.1.", "[address], [address]"),
            ("GET /live.mp3?token=abc&x=1", "GET /live.mp3?token=[secret]&x=1"),
            ("Authorization: Bearer abc", "Authorization: [secret] [secret]"),
            ("\"key\": \"abc\"", "\"key\": \"[secret]\""),
            ("eyJhbGciOi.eyJzdWIi.c2ln", "[token]"),
            ("the key talas_0a1b2c3d_0123456789abcdef0123456789abcdef!", "the key [token]!"),
            ("5f4dcc3b5aa765d61d8327deb882cf99aa", "[token]"),
            ("https://ada:pass@issuer.example/keys", "https://[somebody]@[somewhere]/keys"),
            ("/home/ada/music", "/home/[user]/music"),
            ("Nov 20 Studio talasd[7]: ready", "Nov 20 [host] talasd[7]: ready"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn what_says_what_is_wrong_stays() {
        for text in [
            "capture_absent source=hw:CARD=Device,DEV=0 reason=\"the device went away (no such device)\"",
            "running for 2 s, 48 kHz S32_LE 2 ch, drift -0.1 ppm, 16:57:48.123456+00:00",
            "id 01a1f8d8-85df-73c2-be93-448812345678, version 0.1.0, systemd 252.39-1~deb12u1",
            "listen = [\"127.0.0.1:8080\", \"[::1]:8080\"], 0.0.0.0:8080",
            "a key of the configuration is wrong\nkey_file = \"\"\n",
            "Ünïcode – ganz ohne Geheimnis",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn personal_fields_are_taken_out_wherever_they_are() {
        let mut answer = serde_json::json!({
            "connections": [{ "id": "x", "ip_address": "10.0.0.9", "user_id": null, "user_agent": "mpv", "frames_sent": 7 }],
            "title": ""
        });
        value(&mut answer);
        let expected = serde_json::json!({
            "connections": [{ "id": "x", "ip_address": "[redacted]", "user_id": null, "user_agent": "[redacted]", "frames_sent": 7 }],
            "title": ""
        });
        assert_eq!(answer, expected);
    }
}
