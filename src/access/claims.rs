//! What a token says (RFC 7519), read strictly: an object has each name once, and a claim that means
//! nothing is no claim. Pure; whether the signature fits was asked before.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounds::Bounds;
use super::refusal::Refusal;

/// Most entries of a list in a claim.
const MOST_ENTRIES: usize = 64;
/// Longest text in a claim, in bytes.
const LONGEST_TEXT: usize = 256;
/// Seconds in a day.
const DAY_S: i64 = 86_400;
/// The largest time that can be added to without care: in the year 9999.
const LAST_S: f64 = 253_402_300_799.0;

/// A JSON object that has each name once. `serde_json` by itself takes the last of several, and whoever
/// reads the same token elsewhere may take the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if found.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(found))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

impl Object {
    /// Reads one.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Whether a name is in it.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text, or nothing.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        self.0.get(name).map(|value| text(value).ok_or(Refusal::Claim(name))).transpose()
    }

    /// A list of texts, where a text alone is a list of one; or nothing.
    fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
        let wrong = Refusal::Claim(name);
        let list = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Array(list)) if list.len() <= MOST_ENTRIES => list.iter().collect(),
            Some(value @ Value::String(_)) => vec![value],
            Some(_) => return Err(wrong),
        };
        list.into_iter()
            .map(|value| text(value).map(str::to_owned).ok_or(wrong))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A `NumericDate`, in whole seconds; or nothing.
    fn time(&self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_S).contains(seconds));
        seconds.map(|seconds| Some(seconds as i64)).ok_or(Refusal::Claim(name))
    }
}

fn text(value: &Value) -> Option<&str> {
    let is_fine =
        |text: &&str| !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control);
    value.as_str().filter(is_fine)
}

/// What must be true of a token's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Who may have made it. The first is this daemon's own name.
    pub issuers: Vec<String>,
    /// For whom it must have been made.
    pub audience: String,
    /// By how much another issuer's clock may differ, in seconds.
    pub leeway_s: i64,
    /// How long it may last from now, in days.
    pub longest_days: u32,
}

/// The claims that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: who.
    pub subject: String,
    /// `jti`: the token's own name, by which it can be revoked.
    pub id: Option<String>,
    /// `iat`: when it was made, in seconds since the epoch.
    pub issued_s: Option<i64>,
    /// `exp`, and the leeway: until when, in seconds since the epoch.
    pub expires_s: i64,
    /// `roles`.
    pub roles: Vec<String>,
    /// `permissions`.
    pub permissions: Vec<String>,
    /// `audio_id` and `paths`.
    pub bounds: Bounds,
}

impl Claims {
    /// Reads the claims, and holds them against what is expected at this time.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(object: &Object, expected: &Expected, now_s: i64) -> Result<Self, Refusal> {
        let issuer = object.text("iss")?.ok_or(Refusal::Claim("iss"))?;
        if !expected.issuers.iter().any(|known| known == issuer) {
            return Err(Refusal::Issuer);
        }
        let audience = object.texts("aud")?.ok_or(Refusal::Claim("aud"))?;
        if !audience.contains(&expected.audience) {
            return Err(Refusal::Audience);
        }
        // This daemon's own tokens are made by the clock that they are read by.
        let is_own = expected.issuers.first().is_some_and(|own| own == issuer);
        let leeway_s = if is_own { 0 } else { expected.leeway_s };
        let expires_s = object.time("exp")?.ok_or(Refusal::Claim("exp"))? + leeway_s;
        if expires_s <= now_s {
            return Err(Refusal::Expired);
        }
        if expires_s - leeway_s - now_s > i64::from(expected.longest_days) * DAY_S {
            return Err(Refusal::TooFar);
        }
        if object.time("nbf")?.is_some_and(|not_before_s| not_before_s - leeway_s > now_s) {
            return Err(Refusal::Early);
        }
        Ok(Self {
            subject: object.text("sub")?.ok_or(Refusal::Claim("sub"))?.to_owned(),
            id: object.text("jti")?.map(str::to_owned),
            issued_s: object.time("iat")?,
            expires_s,
            roles: object.texts("roles")?.unwrap_or_default(),
            permissions: object.texts("permissions")?.unwrap_or_default(),
            bounds: bounds(object)?,
        })
    }
}

fn bounds(object: &Object) -> Result<Bounds, Refusal> {
    let paths = object
        .texts("paths")?
        .map(|paths| paths.iter().map(|path| path.parse().map_err(|_| Refusal::Claim("paths"))).collect());
    Ok(Bounds { tracks: object.texts("audio_id")?, paths: paths.transpose()?, networks: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn expected() -> Expected {
        Expected {
            issuers: vec!["talas".to_owned(), "shop".to_owned()],
            audience: "talas".to_owned(),
            leeway_s: 5,
            longest_days: 30,
        }
    }

    /// The claims of a good token with these instead; `null` leaves one out.
    fn read(changes: &str) -> Result<Claims, Refusal> {
        let mut good: BTreeMap<String, Value> = BTreeMap::new();
        for (name, value) in [
            ("iss", "talas".into()),
            ("aud", "talas".into()),
            ("sub", "ada".into()),
            ("exp", (NOW_S + 60).into()),
        ] {
            good.insert(name.to_owned(), value);
        }
        let changes: BTreeMap<String, Value> = serde_json::from_str(changes).expect("JSON");
        good.extend(changes);
        good.retain(|_, value| !value.is_null());
        Claims::read(&Object(good), &expected(), NOW_S)
    }

    #[test]
    fn a_name_stands_once() {
        for twice in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","s\u0075b":"b"}"#,
            r#"{"x":1,"y":2,"x":1}"#,
            r#"{"a":1}{"a":1}"#,
            r#"["a"]"#,
            "null",
            "",
        ] {
            assert_eq!(Object::read(twice.as_bytes()), None, "{twice}");
        }
        assert!(Object::read(br#"{"a":1,"b":{"a":1}}"#).is_some());
    }

    #[test]
    fn who_made_it_and_for_whom() {
        assert!(read("{}").is_ok());
        assert!(read(r#"{"iss":"shop","aud":["x","talas"]}"#).is_ok());
        for (wrong, refusal) in [
            (r#"{"iss":null}"#, Refusal::Claim("iss")),
            (r#"{"iss":"Talas"}"#, Refusal::Issuer),
            (r#"{"iss":["talas"]}"#, Refusal::Claim("iss")),
            (r#"{"aud":null}"#, Refusal::Claim("aud")),
            (r#"{"aud":"talas2"}"#, Refusal::Audience),
            (r#"{"aud":[]}"#, Refusal::Audience),
            (r#"{"aud":{"talas":1}}"#, Refusal::Claim("aud")),
            (r#"{"sub":null}"#, Refusal::Claim("sub")),
            (r#"{"sub":""}"#, Refusal::Claim("sub")),
            (r#"{"sub":"a\nb"}"#, Refusal::Claim("sub")),
            (r#"{"sub":7}"#, Refusal::Claim("sub")),
        ] {
            assert_eq!(read(wrong), Err(refusal), "{wrong}");
        }
    }

    #[test]
    fn its_time() {
        let at = |name: &str, offset: i64, issuer: &str| {
            read(&format!(r#"{{"{name}":{},"iss":"{issuer}"}}"#, NOW_S + offset)).err()
        };
        assert_eq!(at("exp", 1, "talas"), None);
        assert_eq!(at("exp", 0, "talas"), Some(Refusal::Expired));
        assert_eq!(at("exp", -4, "shop"), None, "another clock may be behind");
        assert_eq!(at("exp", -5, "shop"), Some(Refusal::Expired));
        assert_eq!(at("nbf", 0, "talas"), None);
        assert_eq!(at("nbf", 1, "talas"), Some(Refusal::Early));
        assert_eq!(at("nbf", 5, "shop"), None);
        assert_eq!(at("nbf", 6, "shop"), Some(Refusal::Early));
        assert_eq!(at("exp", 30 * DAY_S, "shop"), None);
        assert_eq!(at("exp", 30 * DAY_S + 1, "talas"), Some(Refusal::TooFar));
        for wrong in [r#"{"exp":null}"#, r#"{"exp":"9999999999"}"#, r#"{"exp":-1}"#, r#"{"exp":1e300}"#] {
            assert_eq!(read(wrong), Err(Refusal::Claim("exp")), "{wrong}");
        }
    }

    #[test]
    fn bounds_bind_or_are_refused() {
        let bounds = |json: &str| read(json).map(|claims| claims.bounds);
        assert_eq!(bounds("{}"), Ok(Bounds::default()));
        let bound = bounds(r#"{"audio_id":"7","paths":["/stream/*"]}"#).expect("bounds");
        assert_eq!(bound.tracks, Some(vec!["7".to_owned()]));
        assert!(bound.paths.is_some_and(|paths| paths.len() == 1));
        assert_eq!(
            bounds(r#"{"audio_id":[]}"#).map(|bounds| bounds.tracks),
            Ok(Some(Vec::new())),
            "nothing, not all"
        );
        let many = format!(r#"{{"audio_id":{:?}}}"#, vec!["x"; MOST_ENTRIES + 1]);
        for (wrong, name) in [
            (r#"{"audio_id":7}"#, "audio_id"),
            (many.as_str(), "audio_id"),
            (r#"{"paths":["/a/../b"]}"#, "paths"),
            (r#"{"paths":"*"}"#, "paths"),
            (r#"{"roles":{"admin":true}}"#, "roles"),
        ] {
            assert_eq!(read(wrong).err(), Some(Refusal::Claim(name)), "{wrong}");
        }
    }
}
