//! What is no TOML: the parser's findings in our words, and which of the rest can be trusted.
//!
//! The parser goes on after an error, so that one run finds all. What it makes of the rest is a guess
//! near the error: a value it could not read has a value of no meaning, keys under a broken header
//! stand in the wrong table. Complaints about those would mislead, so they are held back.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::complaint::{Complaint, Place};
use super::document::Document;

/// The parser's words for a key without `=`.
const NO_VALUE: &str = "key with no value";

/// The parser's words for a key or table that is there already.
const DUPLICATE: &str = "duplicate key";

/// More errors of syntax than this are not counted: the file is no configuration.
const MOST_ERRORS: usize = 200;

/// At a key without `=` the parser stops for good. It is shown the file without such a line and
/// starts again, so often at most.
const MOST_RESTARTS: usize = 50;

/// What the parser found: where, and its words.
type Finding = (Range<usize>, String);

/// A file without the lines at which the parser stops, and what it found in these.
pub(super) struct Readable {
    text: String,
    findings: Vec<Finding>,
}

impl Readable {
    /// Takes such lines out, leaving everything else at its place.
    pub(super) fn new(document: &Document) -> Self {
        let mut readable = Self { text: document.text().to_owned(), findings: Vec::new() };
        while readable.findings.len() < MOST_RESTARTS {
            let (_, errors) = DeTable::parse_recoverable(&readable.text);
            let findings = errors.iter().map(finding);
            let Some((stop, _)) = findings.clone().find(|(_, message)| message.starts_with(NO_VALUE)) else {
                break;
            };
            let line = line_around(&readable.text, stop.start);
            // Another error of that line may have been the cause.
            let first =
                findings.filter(|(span, _)| line.contains(&span.start)).min_by_key(|(span, _)| span.start);
            readable.findings.push(first.unwrap_or((stop, NO_VALUE.to_owned())));
            let blank = " ".repeat(line.len());
            readable.text.replace_range(line, &blank);
        }
        readable
    }
}

fn finding(error: &Error) -> Finding {
    (error.span().unwrap_or(0..0), error.message().to_owned())
}

/// A parsed file and what the parser had to say.
pub(super) struct Parsed<'a> {
    /// The tree, a guess where there were errors.
    pub(super) root: Spanned<DeTable<'a>>,
    /// What is wrong, one for each line.
    pub(super) complaints: Vec<Complaint>,
    /// Lines that have an error.
    wrong_lines: BTreeSet<usize>,
    /// Lines of which nothing is certain: below a broken header, from an unclosed value on.
    lost: Vec<RangeInclusive<usize>>,
}

impl<'a> Parsed<'a> {
    /// Parses a file.
    pub(super) fn new(document: &Document, readable: &'a Readable) -> Self {
        let (root, errors) = DeTable::parse_recoverable(&readable.text);
        let mut parsed =
            Self { root, complaints: Vec::new(), wrong_lines: BTreeSet::new(), lost: Vec::new() };
        let mut findings = readable.findings.clone();
        findings.extend(errors.iter().take(MOST_ERRORS).map(finding));
        findings.sort_by_key(|(span, _)| span.start);
        for (span, message) in findings {
            parsed.add(document, span, &message);
        }
        parsed
    }

    fn add(&mut self, document: &Document, span: Range<usize>, message: &str) {
        let line = document.position(span.start).0;
        let is_unclosed = self.lost.iter().any(|lost| *lost.end() == usize::MAX);
        if !self.wrong_lines.insert(line) || is_unclosed {
            // The first error of a line made the others, and one without end all that follow.
            return;
        }
        let mut complaint = words(document.shown(), span.clone(), message);
        let opened = around(self.root.get_ref(), span.start)
            .map(|value| value.start)
            .filter(|start| document.position(*start).0 < line);
        if let Some(start) = opened {
            complaint = complaint.and(Place::file(start..start + 1), "the value begins here");
            self.lost.push(document.position(start).0..=usize::MAX);
        } else if is_header(line_at(document.text(), span.start)) && message != DUPLICATE {
            let next = document.text().lines().skip(line).position(is_header);
            self.lost.push(line..=next.map_or(usize::MAX - 1, |below| line + below));
        }
        self.complaints.push(complaint);
    }

    /// Whether what stands at a place is what the file says.
    pub(super) fn trusts(&self, place: &Place, document: &Document) -> bool {
        let Place::File { start, end } = *place else { return true };
        let lines = document.lines(&(start..end));
        let is_lost = self.lost.iter().any(|lost| lost.contains(lines.end()));
        !is_lost && self.wrong_lines.range(lines).next().is_none()
    }
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The bytes of the line that a position is in, without what ends it.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let length = text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    start..start + length
}

fn line_at(text: &str, at: usize) -> &str {
    text.get(line_around(text, at)).unwrap_or_default()
}

/// The outermost list, string or inline table that a position lies in or ends.
fn around(table: &DeTable<'_>, at: usize) -> Option<Range<usize>> {
    table.iter().find_map(|(_, value)| {
        let span = value.span();
        match value.get_ref() {
            // The span of a table with a header is the header's.
            DeValue::Table(inner) => {
                let is_inside = span.start < at && at <= span.end && !inner.is_empty();
                around(inner, at).or_else(|| (is_inside && is_inline(inner, &span)).then_some(span))
            }
            // The tables of a list may have headers too.
            DeValue::Array(array) if array.iter().any(has_header) => array
                .iter()
                .filter_map(|entry| entry.get_ref().as_table())
                .find_map(|inner| around(inner, at)),
            _ => (span.start < at && at <= span.end).then_some(span),
        }
    })
}

fn has_header(value: &Spanned<DeValue<'_>>) -> bool {
    value.get_ref().as_table().is_some_and(|table| !table.is_empty() && !is_inline(table, &value.span()))
}

fn is_inline(table: &DeTable<'_>, span: &Range<usize>) -> bool {
    table.iter().all(|(name, _)| span.contains(&name.span().start))
}

/// The parser's words, made plainer where they can be.
fn words(text: &str, span: Range<usize>, message: &str) -> Complaint {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, "nothing"));
    let found = text.get(span.clone()).unwrap_or_default();
    let next = text.get(span.start..).and_then(|rest| rest.chars().next());
    let is_header = is_header(line_at(text, span.start));
    let (title, label) = match what {
        DUPLICATE if is_header => {
            (format!("the table `[{found}]` stands twice"), "put its keys under the first".to_owned())
        }
        DUPLICATE => (format!("the key `{found}` stands twice"), "it has a value already".to_owned()),
        "unquoted keys cannot be empty" => not_toml("a key without name", "the name is missing"),
        NO_VALUE => not_toml("a key without value", "expected `=` and a value"),
        "string values must be quoted" if found.trim().is_empty() => {
            not_toml("a key without value", "expected a value")
        }
        "string values must be quoted" | "invalid float" | "invalid boolean" => bare_word(found),
        "invalid basic string" => bad_string("\"", next),
        "invalid literal string" => bad_string("'", next),
        "invalid multi-line basic string" => bad_string("\"\"\"", next),
        "invalid multi-line literal string" => bad_string("'''", next),
        "missing key for inline table element" | "missing comma between key-value pairs" => {
            not_toml("an inline table without end", "expected `}` before this")
        }
        "missing comma between array elements" => not_toml(what, "expected `,` or `]` before this"),
        _ if expected == "nothing" => not_toml(what, ""),
        _ => not_toml(what, format!("expected {expected}")),
    };
    Complaint::new(title, Place::file(span), label)
}

fn not_toml(what: &str, label: impl Into<String>) -> (String, String) {
    (format!("not TOML: {what}"), label.into())
}

/// The parser takes the first letter for a sign of what was meant: `info` for `inf`, `False` for `false`.
fn bare_word(found: &str) -> (String, String) {
    let lower = found.to_ascii_lowercase();
    let is_word = found.starts_with(|first: char| first.is_alphabetic() || "/_~".contains(first));
    if matches!(lower.as_str(), "true" | "false") {
        not_toml("a switch is written in lower case", format!("write {lower}"))
    } else if is_word && !found.contains('"') {
        not_toml("a string without quotes", format!("write {found:?}"))
    } else {
        not_toml("neither a number nor a string in quotes", "expected a number, or quotes around this")
    }
}

fn bad_string(quote: &str, next: Option<char>) -> (String, String) {
    match next {
        Some(next) if next.is_control() && !matches!(next, '\r' | '\n') => not_toml(
            "a control character in a string",
            format!("U+{:04X} cannot stand here", u32::from(next)),
        ),
        _ => not_toml("a string without end", format!("expected `{quote}`")),
    }
}
