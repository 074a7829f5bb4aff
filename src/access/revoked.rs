//! What was taken back before its time: tokens by their own name, and everything that a subject had.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::{Pass, Via};

/// What was revoked. Kept until no such token can be good any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// By `jti`: until when to remember it, in seconds since the epoch.
    tokens: BTreeMap<String, i64>,
    /// By `sub`.
    subjects: BTreeMap<String, Cut>,
}

/// A subject's tokens made up to a moment are no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    at_s: i64,
    until_s: i64,
}

impl Revoked {
    /// Revokes a token, to be remembered until then.
    pub fn add_token(&mut self, id: &str, until_s: i64) {
        self.tokens.insert(id.to_owned(), until_s);
    }

    /// Revokes all tokens of a subject that were made up to now.
    pub fn add_subject(&mut self, subject: &str, at_s: i64, until_s: i64) {
        self.subjects.insert(subject.to_owned(), Cut { at_s, until_s });
    }

    /// Whether somebody came by what was revoked.
    pub fn has(&self, pass: &Pass) -> bool {
        let Via::Token(id) = &pass.via else { return false };
        let is_cut = |cut: &Cut| pass.issued_s.is_none_or(|issued_s| issued_s <= cut.at_s);
        id.as_ref().is_some_and(|id| self.tokens.contains_key(id))
            || pass.subject.as_ref().and_then(|subject| self.subjects.get(subject)).is_some_and(is_cut)
    }

    /// Whether a token of this name was revoked by it.
    pub fn has_token(&self, id: &str) -> bool {
        self.tokens.contains_key(id)
    }

    /// Up to when a subject's tokens are no good; a newer one must be made later than that.
    pub fn cut_of(&self, subject: &str) -> Option<i64> {
        self.subjects.get(subject).map(|cut| cut.at_s)
    }

    /// Forgets what has no token left to refuse. Whether there was any.
    pub fn prune(&mut self, now_s: i64) -> bool {
        let before = self.count();
        self.tokens.retain(|_, until_s| *until_s > now_s);
        self.subjects.retain(|_, cut| cut.until_s > now_s);
        self.count() < before
    }

    /// How much is remembered.
    pub fn count(&self) -> usize {
        self.tokens.len() + self.subjects.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::permission::Permissions;
    use super::*;

    fn token(id: Option<&str>, issued_s: Option<i64>) -> Pass {
        let via = Via::Token(id.map(str::to_owned));
        Pass { via, subject: Some("ada".to_owned()), issued_s, ..Pass::anonymous(Permissions::ALL) }
    }

    #[test]
    fn a_token_by_its_name_and_a_subject_up_to_a_moment() {
        let mut revoked = Revoked::default();
        revoked.add_token("one", 100);
        assert!(revoked.has(&token(Some("one"), None)) && !revoked.has(&token(Some("two"), None)));
        assert!(!revoked.has(&token(None, None)));
        revoked.add_subject("ada", 50, 200);
        for (issued_s, is_revoked) in [(Some(49), true), (Some(50), true), (Some(51), false), (None, true)] {
            assert_eq!(revoked.has(&token(Some("two"), issued_s)), is_revoked, "{issued_s:?}");
        }
        let other = Pass { subject: Some("bob".to_owned()), ..token(Some("two"), None) };
        assert!(!revoked.has(&other));
        let key = Pass { via: Via::Key("one".to_owned()), ..token(None, None) };
        assert!(!revoked.has(&key), "a key has a list of its own");
    }

    #[test]
    fn what_cannot_be_shown_any_more_is_forgotten() {
        let mut revoked = Revoked::default();
        revoked.add_token("one", 100);
        revoked.add_subject("ada", 50, 200);
        assert!(!revoked.prune(99) && revoked.count() == 2);
        assert!(revoked.prune(100) && revoked.count() == 1);
        assert!(revoked.prune(200) && revoked.count() == 0);
    }
}
