//! Fuzzing, for tests: honest inputs are damaged at random and given to whoever reads what strangers send.
//! Whoever reads must not panic, and must keep the laws that the test asserts.
//!
//! In a test run each reader gets a few thousand inputs, the same each time. With `FUZZ_SECONDS` in the
//! environment (`make fuzz`) each gets ever new ones for so long. What fails is made as small as it can
//! be and shown, to become a seed of the test.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngSeed, TestRunner};

/// Inputs of a round.
const CASES: u32 = 3000;
/// Damages of one input.
const MOST_EDITS: usize = 6;

/// Something cut out somewhere, and something put there.
#[derive(Debug, Clone)]
struct Edit {
    at: prop::sample::Index,
    cut: usize,
    put: Vec<u8>,
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = self.at.index(bytes.len() + 1);
        let end = (at + self.cut).min(bytes.len());
        bytes.splice(at..end, self.put.iter().copied());
    }
}

fn edits(words: &'static [&'static str]) -> impl Strategy<Value = Vec<Edit>> {
    let word = select(words).prop_map(|word| word.as_bytes().to_vec());
    let many = (word.clone(), 1..40_usize).prop_map(|(word, times)| word.repeat(times));
    let put = prop_oneof![Just(Vec::new()), word, many, vec(any::<u8>(), 0..8), vec(0x20..0x7f_u8, 0..8)];
    let edit = (any::<prop::sample::Index>(), prop_oneof![3 => 0..4_usize, 1 => 0..200_usize], put);
    vec(edit.prop_map(|(at, cut, put)| Edit { at, cut, put }), 0..=MOST_EDITS)
}

/// Damages the seeds, with words that mean something to the reader, and gives them to `read`, which panics
/// where a law is broken.
pub fn fuzz(seeds: &'static [&'static str], words: &'static [&'static str], read: impl Fn(&[u8])) {
    let inputs = (select(seeds), edits(words)).prop_map(|(seed, edits)| {
        let mut bytes = seed.as_bytes().to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    });
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = if until.is_some() { u64::from(std::process::id()) << 32 } else { 0 };
    for round in first.. {
        let config = ProptestConfig {
            cases: CASES,
            rng_seed: RngSeed::Fixed(round),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let ran = TestRunner::new(config).run(&inputs, |bytes| {
            read(&bytes);
            Ok(())
        });
        if let Err(error) = ran {
            panic!("round {round}: {error}");
        }
        if until.is_none_or(|until| Instant::now() >= until) {
            println!("{} inputs", (round - first + 1) * u64::from(CASES));
            return;
        }
    }
}

/// What is read as text where it is text, as the HTTP library lets no other bytes through.
pub fn as_text(read: impl Fn(&str)) -> impl Fn(&[u8]) {
    move |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            read(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn damages_are_many_and_reach_what_is_inside() {
        let seen = RefCell::new(HashSet::new());
        fuzz(&["honest"], &["word"], |bytes| {
            seen.borrow_mut().insert(bytes.to_vec());
        });
        let seen = seen.into_inner();
        assert!(seen.len() > 1500, "{}", seen.len());
        assert!(seen.contains(&b"honest"[..]), "the seeds themselves, too");
        assert!(
            seen.iter().any(|bytes| bytes.starts_with(b"ho") && bytes.ends_with(b"st") && bytes.len() > 8)
        );
        let broken = std::panic::catch_unwind(|| {
            fuzz(&["honest"], &["word"], |bytes| assert!(!bytes.windows(4).any(|part| part == b"word")));
        });
        assert!(broken.is_err(), "a law that is broken is found");
    }
}
