//! What is playing, in step with the sound: a title belongs to a position of the programme, so a listener
//! hears of it when that sound comes, however far behind the programme it listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::error::{Error, Kind, Result};
use crate::mux::icy;
use crate::tools::lock::lock;

/// Titles kept: more changes than these within the longest delay of a listener are not told one by one.
const KEPT: usize = 64;

/// A title from its position on.
#[derive(Debug, PartialEq, Eq)]
pub struct Title {
    /// Counts changes.
    pub number: u64,
    /// Position of the first sound that it belongs to.
    pub position: u64,
    /// The text; empty for none.
    pub text: String,
    /// The same as a block of ICY metadata.
    pub icy: Bytes,
}

impl Title {
    fn new(number: u64, position: u64, text: String) -> Arc<Self> {
        let icy = icy::block(&text);
        Arc::new(Self { number, position, text, icy })
    }
}

/// The titles of late.
#[derive(Debug)]
pub struct Titles {
    /// Never empty; the positions rise.
    list: Mutex<VecDeque<Arc<Title>>>,
}

impl Default for Titles {
    fn default() -> Self {
        Self { list: Mutex::new(VecDeque::from([Title::new(0, 0, String::new())])) }
    }
}

impl Titles {
    /// The programme has this title from a position on. White space around it is left out.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for one that is too long or has control characters.
    pub fn set(&self, text: &str, position: u64) -> Result<()> {
        let text = text.trim();
        if text.len() > icy::TITLE_BYTES {
            let (most, length) = (icy::TITLE_BYTES, text.len());
            let message = format!("a title has at most {most} bytes of UTF-8, this one has {length}");
            return Err(Error::new(Kind::Invalid, message));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::new(Kind::Invalid, "a title is one line without control characters"));
        }
        let mut list = lock(&self.list);
        let number = list.back().map_or(0, |title| title.number + 1);
        // The programme begins anew nowhere; should positions ever seem to, the newest wish still counts.
        list.retain(|title| title.position < position || title.number == 0);
        list.push_back(Title::new(number, position, text.to_owned()));
        if list.len() > KEPT {
            list.pop_front();
        }
        Ok(())
    }

    /// The title of the sound at a position.
    pub fn at(&self, position: u64) -> Arc<Title> {
        let list = lock(&self.list);
        let fits = |title: &&Arc<Title>| title.position <= position;
        // The oldest stands for what was before it.
        list.iter()
            .rev()
            .find(fits)
            .or(list.front())
            .cloned()
            .unwrap_or_else(|| Title::new(0, 0, String::new()))
    }

    /// The newest.
    pub fn newest(&self) -> String {
        lock(&self.list).back().map_or_else(String::new, |title| title.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_belongs_to_the_sound_from_its_position_on() {
        let titles = Titles::default();
        titles.set("  one ", 100).expect("valid");
        titles.set("two", 200).expect("valid");
        titles.set("two, mended", 200).expect("valid");
        let heard = [0, 99, 100, 199, 200, 1_000_000].map(|position| titles.at(position).text.clone());
        assert_eq!(heard, ["", "", "one", "one", "two, mended", "two, mended"]);
        assert_eq!(titles.newest(), "two, mended");
        assert!(titles.at(200).number > titles.at(100).number);
    }

    #[test]
    fn what_cannot_be_a_title_is_refused_and_many_are_not_kept() {
        let titles = Titles::default();
        assert!(titles.set(&"é".repeat(icy::TITLE_BYTES / 2), 1).is_ok());
        for wrong in [&*"é".repeat(icy::TITLE_BYTES / 2 + 1), "a\nb", "a\0b", "a\u{9b}b"] {
            assert_eq!(titles.set(wrong, 1).expect_err("refused").kind(), Kind::Invalid, "{wrong:?}");
        }
        (0..1000).for_each(|n| titles.set(&n.to_string(), n + 2).expect("valid"));
        assert_eq!(lock(&titles.list).len(), KEPT);
        assert_eq!(titles.at(0).text, "936", "the oldest kept stands for what was before");
    }
}
