//! Text that is nobody else's business.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use zeroize::Zeroizing;

/// A password: never shown, and wiped from memory when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// What it is. Not for messages of any kind.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number that is another for nearly every other secret: to see in this process that it changed.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(not shown)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_and_can_be_told_from_another() {
        let (one, other) = (Secret::new("hackme"), Secret::new("hackmf"));
        assert_eq!(format!("{one:?}{:?}", Secret::default()), "Secret(not shown)Secret(none)");
        assert_ne!(one, other);
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.fingerprint(), Secret::new("hackme").fingerprint());
    }
}
