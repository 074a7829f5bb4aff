//! Titles inside a stream of bytes, as SHOUTcast began it and every internet radio player knows it: after
//! each `icy-metaint` bytes of sound stands one byte that counts sixteens, and so many bytes of
//! `StreamTitle='…';`, filled up with zeros. A count of 0 says that nothing changed.
//!
//! Pure: it knows bytes and titles, no sockets. Not in here: when a title belongs to which sound.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of sound between two blocks: one second at 128 kbit/s, as Icecast has it.
pub const INTERVAL_BYTES: u32 = 16_000;
/// The unit in which a block's length is counted.
const UNIT_BYTES: usize = 16;
/// The longest block without its count.
const MOST_BYTES: usize = u8::MAX as usize * UNIT_BYTES;
/// Longest title, in bytes of UTF-8: with all around it, it fits into a block.
pub const TITLE_BYTES: usize = 1000;

/// Nothing changed since the block before.
const UNCHANGED: Bytes = Bytes::from_static(&[0]);

/// A block that carries a title; `title` has at most [`TITLE_BYTES`].
///
/// Players look for the end of a title in ways of their own: some at the first `';`, some at the first
/// `;`, and none knows an escape. So the text keeps its letters and gets quotes that end nothing: `'`
/// becomes `’`, `;` becomes `,`, and what is no printable character becomes a space.
pub fn block(title: &str) -> Bytes {
    let mut text = String::from("StreamTitle='");
    text.extend(title.chars().map(|letter| match letter {
        '\'' => '’',
        ';' => ',',
        letter if letter.is_control() => ' ',
        letter => letter,
    }));
    while text.len() > MOST_BYTES - "';".len() {
        text.pop();
    }
    text.push_str("';");
    let units = text.len().div_ceil(UNIT_BYTES);
    let mut block = BytesMut::with_capacity(1 + units * UNIT_BYTES);
    block.put_u8(u8::try_from(units).unwrap_or(u8::MAX));
    block.put_slice(text.as_bytes());
    block.put_bytes(0, units * UNIT_BYTES - text.len());
    block.freeze()
}

/// The place of one listener between two blocks.
#[derive(Debug, Clone)]
pub struct Weaver {
    /// Bytes of sound until the next block.
    left: u32,
    /// Number of the title that was sent last.
    sent: Option<u64>,
}

impl Default for Weaver {
    fn default() -> Self {
        Self { left: INTERVAL_BYTES, sent: None }
    }
}

impl Weaver {
    /// Puts blocks into sound to which one title belongs: its number, by which a change is known, and its
    /// [`block`]. `emit` gets the pieces in order, and whether each is sound.
    pub fn weave(
        &mut self,
        mut sound: Bytes,
        (number, block): (u64, &Bytes),
        mut emit: impl FnMut(Bytes, bool),
    ) {
        while sound.len() >= self.left as usize {
            let piece = sound.split_to(self.left as usize);
            if !piece.is_empty() {
                emit(piece, true);
            }
            let is_new = self.sent != Some(number);
            emit(if is_new { block.clone() } else { UNCHANGED }, false);
            self.sent = Some(number);
            self.left = INTERVAL_BYTES;
        }
        // Shorter than `left`, so it fits.
        self.left -= u32::try_from(sound.len()).unwrap_or(0);
        if !sound.is_empty() {
            emit(sound, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a player makes of a stream: the sound, and each title with the byte of sound it stands before.
    fn play(stream: &[u8]) -> (Vec<u8>, Vec<(usize, String)>) {
        let (mut sound, mut titles) = (Vec::new(), Vec::new());
        let mut rest = stream;
        while rest.len() > INTERVAL_BYTES as usize {
            let (piece, after) = rest.split_at(INTERVAL_BYTES as usize);
            sound.extend_from_slice(piece);
            let length = usize::from(after[0]) * UNIT_BYTES;
            let text = std::str::from_utf8(&after[1..1 + length]).expect("UTF-8");
            if length > 0 {
                let title = text.trim_end_matches('\0').strip_prefix("StreamTitle='").expect("a title");
                titles.push((sound.len(), title.strip_suffix("';").expect("its end").to_owned()));
            }
            rest = &after[1 + length..];
        }
        sound.extend_from_slice(rest);
        (sound, titles)
    }

    proptest! {
        #[test]
        fn sound_comes_out_as_it_went_in_and_titles_once(
            pieces in prop::collection::vec((1_usize..40_000, 0_u64..3), 1..20),
        ) {
            let mut weaver = Weaver::default();
            let (mut stream, mut whole) = (Vec::new(), Vec::new());
            for (length, number) in pieces {
                let piece: Vec<u8> = (0..length).map(|n| u8::try_from((whole.len() + n) % 251).expect("small")).collect();
                whole.extend_from_slice(&piece);
                let block = block(&format!("title {number}"));
                weaver.weave(piece.into(), (number, &block), |bytes, _| stream.extend_from_slice(&bytes));
            }
            let (sound, titles) = play(&stream);
            prop_assert!(sound == whole, "the sound is untouched");
            prop_assert!(titles.windows(2).all(|two| two[0].1 != two[1].1), "a title comes when it changes");
            prop_assert!(titles.iter().all(|(at, _)| at % INTERVAL_BYTES as usize == 0));
        }
    }

    #[test]
    fn no_title_can_end_its_block_early() {
        let (_, titles) =
            play(&[&[7; INTERVAL_BYTES as usize], &*block("It's \"a\"; b'; \0\n©日"), &[1]].concat());
        assert_eq!(titles, [(16_000, "It’s \"a\", b’,   ©日".to_owned())]);
    }

    #[test]
    fn the_longest_title_fits_whatever_it_is_made_of() {
        for letter in ["a", "'", "é", "日"] {
            let title = letter.repeat(TITLE_BYTES / letter.len());
            let block = block(&title);
            assert_eq!(block.len() % UNIT_BYTES, 1);
            let text = String::from_utf8(block[1..].to_vec()).expect("whole letters");
            assert!(text.trim_end_matches('\0').ends_with("';"));
            assert_eq!(text.chars().count() - text.matches('\0').count(), title.chars().count() + 15);
        }
        assert!(block(&"x".repeat(9000)).len() <= 1 + MOST_BYTES);
    }
}
