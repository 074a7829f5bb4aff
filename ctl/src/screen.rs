//! Standard output: JSON lines, pages of text, and a page redrawn in place on a terminal.
//!
//! In here: colour or not, widths, cursor movements, a reader that has gone away. Not in here: what
//! is printed.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::error::{Error, Kind, Result};
use crate::text::{Ink, Line, Page, Piece};

/// Columns and rows of a terminal.
pub type Size = (usize, usize);

/// Where output goes, and how.
pub struct Screen<W> {
    out: W,
    colour: bool,
    is_terminal: bool,
    /// The columns that `COLUMNS` asks for; it comes before what the terminal says.
    columns: Option<usize>,
    /// Lines that the last draw left above the cursor, and the size it was made for.
    drawn: (usize, Option<Size>),
}

impl Screen<io::Stdout> {
    /// Standard output as the environment wants it.
    pub fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self {
            out: io::stdout(),
            colour: is_terminal && !no_colour && !dumb,
            is_terminal: is_terminal && !dumb,
            columns: columns.filter(|&columns| columns > 0),
            drawn: (0, None),
        }
    }
}

impl<W: Write> Screen<W> {
    /// Whether a page can be redrawn in place.
    pub fn is_live(&self) -> bool {
        self.is_terminal
    }

    /// Whether colours are wanted.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// Columns to lay out for; `None` where lines may be as long as they like.
    pub fn columns(&self) -> Option<usize> {
        self.columns.or_else(|| self.size().map(|(columns, _)| columns))
    }

    /// Prints one line as it is.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.put(&format!("{line}\n"))
    }

    /// Prints a text that ends its own lines.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.put(text)
    }

    /// Prints a page.
    pub fn print(&mut self, page: &Page) -> Result<()> {
        let mut text = String::new();
        for line in page {
            text.push_str(&line.paint(self.colour, None));
            text.push('\n');
        }
        self.put(&text)
    }

    /// Puts a page in the place of the one drawn before; without a terminal, below it.
    pub fn draw(&mut self, page: &Page) -> Result<()> {
        if !self.is_terminal {
            self.print(page)?;
            return self.put("\n");
        }
        let frame = self.frame(page, self.size());
        self.put(&frame)
    }

    /// Leaves what was drawn, below whatever the terminal echoed for Ctrl-C. What is drawn next goes below it.
    pub fn leave(&mut self) -> Result<()> {
        self.drawn = (0, None);
        if self.is_terminal { self.put("\n") } else { Ok(()) }
    }

    /// The characters that turn the page drawn before into this one.
    ///
    /// Lines are cut to the width: a wrapped one would count for two, and the next draw would begin
    /// too low. One row stays free for the cursor.
    fn frame(&mut self, page: &Page, size: Option<Size>) -> String {
        let mut text = String::new();
        match self.drawn {
            (0, _) => {}
            (lines, drawn_for) if drawn_for == size => {
                write!(text, "\x1b[{lines}A\r").unwrap_or_default();
            }
            // The terminal has moved our lines about: begin on a clean one.
            _ => text.push_str("\x1b[2J\x1b[H"),
        }
        let columns = self.columns.or(size.map(|(columns, _)| columns));
        let room = size.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(1).max(1));
        let cut = page.len() > room;
        let ellipsis = Line::of(Piece::new(Ink::Faint, "…"));
        let shown = page.iter().take(if cut { room - 1 } else { page.len() }).chain(cut.then_some(&ellipsis));
        let mut lines = 0;
        for line in shown {
            text.push_str(&line.paint(self.colour, columns));
            text.push_str("\x1b[K\n");
            lines += 1;
        }
        text.push_str("\x1b[J");
        self.drawn = (lines, size);
        text
    }

    fn size(&self) -> Option<Size> {
        if !self.is_terminal {
            return None;
        }
        terminal_size::terminal_size()
            .map(|(width, height)| (usize::from(width.0), usize::from(height.0)))
            .filter(|&(columns, rows)| columns > 0 && rows > 0)
    }

    /// One write and a flush: a reader sees whole pages, and an error shows now, not at exit.
    fn put(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(|error| {
            match error.kind() {
                ErrorKind::BrokenPipe => Error::new(Kind::OutputClosed, "nobody reads the output"),
                _ => Error::new(Kind::Failed, format!("cannot write to standard output: {error}")),
            }
        })
    }
}

#[cfg(test)]
impl Screen<Vec<u8>> {
    /// One that nobody sees.
    pub fn memory() -> Self {
        Self { out: Vec::new(), colour: false, is_terminal: false, columns: None, drawn: (0, None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::plain;

    fn screen(is_terminal: bool) -> Screen<Vec<u8>> {
        Screen { out: Vec::new(), colour: false, is_terminal, columns: None, drawn: (0, None) }
    }

    fn page(lines: &[&str]) -> Page {
        lines.iter().map(|line| Line::of(plain(line))).collect()
    }

    #[test]
    fn a_page_takes_the_place_of_the_one_before() {
        let mut screen = screen(true);
        let size = Some((5, 24));
        assert_eq!(screen.frame(&page(&["one", "too long"]), size), "one\x1b[K\ntoo l\x1b[K\n\x1b[J");
        assert_eq!(screen.frame(&page(&["two"]), size), "\x1b[2A\rtwo\x1b[K\n\x1b[J");
        assert_eq!(screen.frame(&page(&["x"]), Some((9, 24))), "\x1b[2J\x1b[Hx\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_page_higher_than_the_terminal_says_that_it_goes_on() {
        let frame = screen(true).frame(&page(&["1", "2", "3"]), Some((5, 3)));
        assert_eq!(frame, "1\x1b[K\n…\x1b[K\n\x1b[J");
    }

    #[test]
    fn without_a_terminal_pages_follow_each_other() {
        let mut screen = screen(false);
        screen.draw(&page(&["one"])).expect("written");
        screen.draw(&page(&["two"])).expect("written");
        assert_eq!(screen.out, b"one\n\ntwo\n\n");
    }
}
