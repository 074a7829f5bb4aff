//! Text for people as data: pieces with a meaning, lines of pieces, pages of lines.
//!
//! In here: escaping, measuring, laying out and painting. Not in here: what to say (`show`), and
//! where it goes (`screen`). Every string becomes a [`Piece`] before it is printed and is escaped on
//! the way, so no caller can forget it.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece means; colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Said as it is.
    Plain,
    /// What the eye should find first.
    Strong,
    /// Labels and separators.
    Faint,
    /// All is well.
    Good,
    /// Look at this.
    Warn,
    /// Broken.
    Bad,
}

impl Ink {
    /// The ANSI parameter; only the eight colours that every terminal has.
    const fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// A string of one meaning, free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    text: String,
    ink: Ink,
}

impl Piece {
    /// Takes a text and escapes what a terminal would obey.
    pub fn new(ink: Ink, text: impl AsRef<str>) -> Self {
        Self { text: escape(text.as_ref()), ink }
    }

    /// Its characters; a terminal obeys none of them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    pub fn ink(&self) -> Ink {
        self.ink
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

/// A text without special meaning.
pub fn plain(text: impl AsRef<str>) -> Piece {
    Piece::new(Ink::Plain, text)
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<Piece>);

impl Line {
    /// A line of one piece.
    pub fn of(piece: Piece) -> Self {
        Self(vec![piece])
    }

    /// The line with one more piece.
    #[must_use]
    pub fn and(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }

    /// The same line, all of it faint.
    pub fn faint(&self) -> Self {
        Self(self.0.iter().map(|piece| Piece { ink: Ink::Faint, ..piece.clone() }).collect())
    }

    /// Its pieces, from left to right.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The line as characters, cut to `columns` where given, without a newline.
    pub fn paint(&self, colour: bool, columns: Option<usize>) -> String {
        let mut room = columns.unwrap_or(usize::MAX);
        let mut out = String::new();
        for piece in &self.0 {
            let text = fitting(&piece.text, room);
            room -= text.width();
            match piece.ink.sgr().filter(|_| colour && !text.trim().is_empty()) {
                Some(sgr) => write!(out, "\x1b[{sgr}m{text}\x1b[0m").unwrap_or_default(),
                None => out.push_str(text),
            }
            if text.len() < piece.text.len() {
                // A wide character did not fit: what follows it must not take its place.
                break;
            }
        }
        if colour { out } else { out.trim_end().to_owned() }
    }
}

/// Lines from top to bottom.
pub type Page = Vec<Line>;

/// A label and what there is to say about it.
pub struct Row {
    label: &'static str,
    facts: Vec<Piece>,
}

impl Row {
    /// A row; without facts it is not shown.
    pub fn new(label: &'static str, facts: Vec<Piece>) -> Self {
        Self { label, facts }
    }
}

/// Between two facts of a row.
pub const SEPARATOR: &str = " · ";

/// Rows under each other, facts in one column, broken between facts where the width demands it.
pub fn rows(rows: Vec<Row>, columns: Option<usize>) -> Page {
    let label_width = rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
    rows.into_iter()
        .filter(|row| !row.facts.is_empty())
        .flat_map(|row| {
            let label = Piece::new(Ink::Faint, format!("  {:label_width$}  ", row.label));
            flow(label, SEPARATOR, row.facts, columns)
        })
        .collect()
}

/// A sentence behind a mark, broken between words.
pub fn sentence(mark: Piece, ink: Ink, text: &str, columns: Option<usize>) -> Page {
    flow(mark, " ", text.split_whitespace().map(|word| Piece::new(ink, word)).collect(), columns)
}

/// Pieces behind `head`, with `separator` between them, in lines of at most `columns`; lines after
/// the first are indented by the width of `head`.
pub fn flow(head: Piece, separator: &str, pieces: Vec<Piece>, columns: Option<usize>) -> Page {
    let indent = head.width();
    let mut page = Vec::new();
    let mut line = Line::of(head);
    let mut used = indent;
    for piece in pieces {
        let wanted = separator.width() + piece.width();
        if used == indent {
            used += piece.width();
        } else if columns.is_some_and(|columns| used + wanted > columns) {
            used = indent + piece.width();
            page.push(std::mem::replace(&mut line, Line::of(plain(" ".repeat(indent)))));
        } else {
            used += wanted;
            line = line.and(Piece::new(Ink::Faint, separator));
        }
        line = line.and(piece);
    }
    page.push(line);
    page
}

/// The longest beginning of `text` that takes at most `columns`.
fn fitting(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// The text with everything escaped that a terminal would obey or a reader would not see:
/// control characters, line separators, and the marks that reverse or hide text.
///
/// Escaping twice changes nothing.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(page: &Page) -> Vec<String> {
        page.iter().map(|line| line.paint(false, None)).collect()
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(escape("a\x1b[2J\r\n\x07\u{9b}b"), "a\\u{1b}[2J\\r\\n\\u{7}\\u{9b}b");
        assert_eq!(escape("abc\u{202e}fed"), "abc\\u{202e}fed");
        assert_eq!(escape("Größe 音 🎵"), "Größe 音 🎵");
        assert_eq!(escape(&escape("\x1b")), escape("\x1b"));
    }

    #[test]
    fn rows_align_and_break_between_facts() {
        let rows = rows(
            vec![
                Row::new("a", vec![plain("one"), plain("two"), plain("three")]),
                Row::new("label", vec![plain("four")]),
                Row::new("empty", vec![]),
            ],
            Some(20),
        );
        assert_eq!(painted(&rows), ["  a      one · two", "         three", "  label  four"]);
    }

    #[test]
    fn a_fact_wider_than_the_terminal_stands_alone() {
        let page = flow(plain("x "), SEPARATOR, vec![plain("0123456789"), plain("b")], Some(6));
        assert_eq!(painted(&page), ["x 0123456789", "  b"]);
    }

    #[test]
    fn painting_cuts_by_columns_not_by_bytes() {
        let line = Line::of(Piece::new(Ink::Good, "音楽")).and(plain("abc"));
        assert_eq!(line.paint(false, Some(5)), "音楽a");
        assert_eq!(line.paint(false, Some(3)), "音");
        assert_eq!(line.paint(true, None), "\x1b[32m音楽\x1b[0mabc");
    }
}
