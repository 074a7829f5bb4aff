//! The arithmetic of byte ranges (RFC 9110, section 14): from a `Range` header and a length to the
//! bytes that are due.
//!
//! Pure: no files, no responses. What is not a byte range set by the grammar is no error; the header
//! is then ignored, as the RFC wants it.

use std::cmp::Ordering;
use std::ops::Range;

/// Most ranges that are looked at. A player asks for one and a document viewer for a handful; whoever
/// asks for more gets the whole file, in one piece and at one piece's cost.
const MOST_RANGES: usize = 64;

/// Ranges with a hole between them that is smaller than what a part's own head costs become one.
const SMALL_HOLE: u64 = 128;

/// What a request for ranges comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All bytes, as if no range had been asked for.
    Whole,
    /// One range; never empty.
    Single(Range<u64>),
    /// Two or more, disjoint and not empty, as far as can be in the order asked for.
    Several(Vec<Range<u64>>),
    /// Ranges were asked for, and the file has no byte of any.
    Unsatisfiable,
}

/// One element of a range set, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// From a first byte to a last one, both included; to the end without the latter.
    From { first: u64, last: Option<u64> },
    /// So many bytes before the end.
    Suffix(u64),
}

/// Reads the value of a `Range` header against a file of `length` bytes.
pub fn select(header: &str, length: u64) -> Selection {
    let Some(wanted) = parse(header) else { return Selection::Whole };
    if wanted.len() > MOST_RANGES {
        return Selection::Whole;
    }
    if length == 0 && wanted.iter().any(|wanted| matches!(wanted, Wanted::Suffix(1..))) {
        // Satisfiable by definition, and `Content-Range` has no words for a range of nothing.
        return Selection::Whole;
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    wanted.iter().filter_map(|wanted| wanted.within(length)).for_each(|range| add(&mut ranges, range));
    match ranges.len() {
        0 => Selection::Unsatisfiable,
        1 => Selection::Single(ranges.swap_remove(0)),
        _ => Selection::Several(ranges),
    }
}

impl Wanted {
    /// The bytes of a file that are meant, if it has any of them.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first, last } => {
                first..last.map_or(length, |last| last.saturating_add(1).min(length))
            }
            Self::Suffix(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// Adds a range; those it overlaps or nearly touches become one with it, at the place of the first.
fn add(ranges: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let touches = |one: &Range<u64>, other: &Range<u64>| {
        one.start <= other.end.saturating_add(SMALL_HOLE) && other.start <= one.end.saturating_add(SMALL_HOLE)
    };
    let mut place = None;
    // What has grown by one may touch another.
    while let Some(at) = ranges.iter().position(|other| touches(&range, other)) {
        let other = ranges.remove(at);
        range = range.start.min(other.start)..range.end.max(other.end);
        place = Some(place.map_or(at, |place: usize| place.min(at)));
    }
    ranges.insert(place.unwrap_or(ranges.len()), range);
}

/// The range set of a header, or `None` where it is none. Empty elements of the list are skipped.
fn parse(header: &str) -> Option<Vec<Wanted>> {
    let (unit, set) = header.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let elements = set.split(',').map(|element| element.trim_matches([' ', '\t']));
    let wanted: Option<Vec<Wanted>> = elements.filter(|element| !element.is_empty()).map(parse_one).collect();
    wanted.filter(|wanted| !wanted.is_empty())
}

fn parse_one(element: &str) -> Option<Wanted> {
    let (first, last) = element.split_once('-')?;
    match (first, last) {
        ("", count) => Some(Wanted::Suffix(number(count)?)),
        (first, "") => Some(Wanted::From { first: number(first)?, last: None }),
        (first, last) => {
            let (from, to) = (number(first)?, number(last)?);
            (compare(first, last) != Ordering::Greater)
                .then_some(Wanted::From { first: from, last: Some(to) })
        }
    }
}

/// A number of any length; beyond what any file reaches it is the greatest there is.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Compares by value, also where the values fit into no integer: `2-1` is no range at any size.
fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// The value of a `Content-Range` header.
pub fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
}

/// The value of a `Content-Range` header where no range could be satisfied.
pub fn unsatisfied(length: u64) -> String {
    format!("bytes */{length}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    fn single(range: Range<u64>) -> Selection {
        Selection::Single(range)
    }

    #[test]
    fn single_ranges() {
        for (header, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-1", 0..2),
            ("bytes=0-", 0..1000),
            ("bytes=999-", 999..1000),
            ("bytes=500-9999", 500..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-1000", 0..1000),
            ("bytes=-1001", 0..1000),
            ("bytes=-99999999999999999999999999", 0..1000),
            ("bytes=1-18446744073709551615", 1..1000),
            ("bytes=1-18446744073709551616", 1..1000),
            ("bytes=000000000000000000000000000001-2", 1..3),
            ("Bytes=3-4", 3..5),
            ("BYTES= 3-4 ", 3..5),
            ("bytes=,,3-4,,", 3..5),
            ("bytes=\t3-4\t,2000-3000", 3..5),
        ] {
            assert_eq!(select(header, 1000), single(expected), "{header}");
        }
    }

    #[test]
    fn what_is_no_range_set_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes= , ,",
            "bytes=-",
            "bytes=--1",
            "bytes=1",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=1-2-3",
            "bytes=1 -2",
            "bytes=1- 2",
            "bytes=2-1",
            "bytes=0-1,2-1",
            "bytes=0-1,nonsense",
            "bytes=0-1;2-3",
            "bytes =0-1",
            " bytes=0-1",
            "byte=0-1",
            "items=0-1",
            "bytes=1.0-2",
            "bytes=\u{0661}-\u{0662}",
            "bytes=99999999999999999999999-99999999999999999999998",
            "bytes=18446744073709551617-18446744073709551616",
        ] {
            assert_eq!(select(header, 1000), Selection::Whole, "{header}");
        }
    }

    #[test]
    fn what_the_file_does_not_have_is_unsatisfiable() {
        for header in [
            "bytes=1000-",
            "bytes=1000-1000",
            "bytes=-0",
            "bytes=-00",
            "bytes=18446744073709551615-",
            "bytes=18446744073709551615-18446744073709551615",
            "bytes=99999999999999999999998-99999999999999999999999",
            "bytes=1000-2000,3000-,-0",
        ] {
            assert_eq!(select(header, 1000), Selection::Unsatisfiable, "{header}");
        }
        assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(select("bytes=-0", 0), Selection::Unsatisfiable);
        assert_eq!(select("bytes=-1", 0), Selection::Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_and_never_overlap() {
        let several = |ranges: &[Range<u64>]| Selection::Several(ranges.to_vec());
        for (header, expected) in [
            ("bytes=0-9,500-509", several(&[0..10, 500..510])),
            ("bytes=500-509,0-9", several(&[500..510, 0..10])),
            ("bytes=0-9,5000-,500-509", several(&[0..10, 500..510])),
            ("bytes=-10,0-9", several(&[990..1000, 0..10])),
            ("bytes=0-9,5-20", single(0..21)),
            ("bytes=0-9,0-9,0-9", single(0..10)),
            ("bytes=0-,-1000,0-999", single(0..1000)),
            ("bytes=0-9,137-200", single(0..201)),
            ("bytes=0-9,139-200", several(&[0..10, 139..201])),
            // The third joins the first two.
            ("bytes=0-9,900-909,600-609,5-905", single(0..910)),
            ("bytes=900-909,0-9,400-409,0-300", several(&[900..910, 0..410])),
        ] {
            assert_eq!(select(header, 1000), expected, "{header}");
        }
    }

    #[test]
    fn a_crowd_of_ranges_is_the_whole_file() {
        let crowd = |count: usize| {
            let list: Vec<String> = (0..count).map(|n| format!("{}-{}", n * 1000, n * 1000 + 1)).collect();
            format!("bytes={}", list.join(","))
        };
        assert!(matches!(select(&crowd(64), 1 << 20), Selection::Several(ranges) if ranges.len() == 64));
        assert_eq!(select(&crowd(65), 1 << 20), Selection::Whole);
    }

    #[test]
    fn headers_say_first_and_last() {
        assert_eq!(content_range(&(0..1), 1000), "bytes 0-0/1000");
        assert_eq!(content_range(&(990..1000), 1000), "bytes 990-999/1000");
        assert_eq!(unsatisfied(1000), "bytes */1000");
    }

    fn wanted() -> impl Strategy<Value = Wanted> {
        let number = prop_oneof![0..2000_u64, any::<u64>()];
        prop_oneof![
            (number.clone(), proptest::option::of(number.clone())).prop_map(|(one, other)| {
                let last = other.map(|other| one.max(other));
                Wanted::From { first: other.map_or(one, |other| one.min(other)), last }
            }),
            number.prop_map(Wanted::Suffix),
        ]
    }

    fn written(wanted: &[Wanted]) -> String {
        let each = wanted.iter().map(|wanted| match wanted {
            Wanted::From { first, last: Some(last) } => format!("{first}-{last}"),
            Wanted::From { first, last: None } => format!("{first}-"),
            Wanted::Suffix(count) => format!("-{count}"),
        });
        format!("bytes={}", each.collect::<Vec<_>>().join(", "))
    }

    /// Whether a byte is asked for, said as simply as can be.
    fn asks_for(wanted: &Wanted, byte: u64, length: u64) -> bool {
        match *wanted {
            Wanted::From { first, last } => first <= byte && last.is_none_or(|last| byte <= last),
            Wanted::Suffix(count) => u128::from(byte) + u128::from(count) >= u128::from(length),
        }
    }

    proptest! {
        #[test]
        fn every_byte_asked_for_comes_once(wanted in proptest::collection::vec(wanted(), 1..12), length in 0..3000_u64) {
            let ranges = match select(&written(&wanted), length) {
                Selection::Whole => {
                    prop_assert_eq!(length, 0);
                    return Ok(());
                }
                Selection::Unsatisfiable => Vec::new(),
                Selection::Single(range) => vec![range],
                Selection::Several(ranges) => {
                    prop_assert!(ranges.len() > 1);
                    ranges
                }
            };
            let mut sorted = ranges.clone();
            sorted.sort_by_key(|range| range.start);
            prop_assert!(sorted.windows(2).all(|pair| pair[0].end + SMALL_HOLE < pair[1].start));
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
            for byte in 0..length {
                let comes = ranges.iter().any(|range| range.contains(&byte));
                if wanted.iter().any(|wanted| asks_for(wanted, byte, length)) {
                    prop_assert!(comes, "byte {} of {} is missing", byte, length);
                } else if comes {
                    // Sent without being asked for: then it is in a small hole.
                    let asked = |byte| wanted.iter().any(|wanted| asks_for(wanted, byte, length));
                    let near = |mut bytes: Range<u64>| bytes.any(asked);
                    prop_assert!(near(byte.saturating_sub(SMALL_HOLE)..byte) && near(byte..byte + SMALL_HOLE));
                }
            }
        }

        #[test]
        fn no_header_is_too_strange(header in "(bytes=)?[-0-9, \t=a-z]{0,40}", length: u64) {
            if let Selection::Single(range) = select(&header, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }

    #[test]
    fn fuzz_range() {
        const SEEDS: &[&str] =
            &["bytes=0-99", "bytes=5-", "bytes=-7", "bytes=0-0,5-9,-1", "bytes= 1-2 ,\t3-4 "];
        const WORDS: &[&str] = &["bytes=", "-", ",", "0-", "18446744073709551615", "9", " ", "=", "1-1,"];
        fuzz(
            SEEDS,
            WORDS,
            as_text(|header| {
                for length in [0, 1, 10, 1000, u64::MAX] {
                    let ranges = match select(header, length) {
                        Selection::Whole | Selection::Unsatisfiable => continue,
                        Selection::Single(range) => vec![range],
                        Selection::Several(ranges) => ranges,
                    };
                    assert!(ranges.len() <= MOST_RANGES);
                    assert!(
                        ranges.iter().all(|range| range.start < range.end && range.end <= length),
                        "{ranges:?}"
                    );
                    let mut sorted = ranges.clone();
                    sorted.sort_by_key(|range| range.start);
                    assert!(
                        sorted.windows(2).all(|pair| pair[0].end <= pair[1].start),
                        "no byte twice: {ranges:?}"
                    );
                }
            }),
        );
    }
}
