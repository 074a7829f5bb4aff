//! Asks people, a line at a time.

use std::io::{BufRead, Read, Write};

use crate::error::{Error, Kind, Result};
use crate::screen::Screen;
use crate::text::escape;

/// No answer is longer, in bytes.
const MOST_BYTES: u64 = 1024;

/// Where answers come from.
pub struct Dialog {
    input: Box<dyn BufRead>,
}

impl Dialog {
    /// From standard input.
    pub fn of_stdin() -> Self {
        Self { input: Box::new(std::io::BufReader::new(std::io::stdin())) }
    }

    /// A line, without the spaces around it.
    pub fn line<W: Write>(&mut self, screen: &mut Screen<W>, question: &str) -> Result<String> {
        screen.text(question)?;
        let mut line = String::new();
        let read = (&mut self.input).take(MOST_BYTES).read_line(&mut line);
        match read {
            Ok(0) => Err(Error::new(Kind::Failed, "there was no answer: what was done so far stays")),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(Error::new(Kind::Failed, format!("cannot read the answer: {error}"))),
        }
    }

    /// One of so many, counted from 1; nothing for an empty answer.
    pub fn choose<W: Write>(
        &mut self,
        screen: &mut Screen<W>,
        question: &str,
        count: usize,
    ) -> Result<Option<usize>> {
        let mut question = format!("{}Number, or nothing to leave it: ", escape_lines(question));
        loop {
            let line = self.line(screen, &question)?;
            if line.is_empty() {
                return Ok(None);
            }
            match line.parse::<usize>() {
                Ok(number) if (1..=count).contains(&number) => return Ok(Some(number)),
                _ => question = format!("A number from 1 to {count}: "),
            }
        }
    }

    /// Yes, unless it begins with an n.
    pub fn is_yes<W: Write>(&mut self, screen: &mut Screen<W>, question: &str) -> Result<bool> {
        Ok(!self.line(screen, question)?.to_ascii_lowercase().starts_with('n'))
    }
}

/// Names of devices are others' words: nothing in them may steer the terminal.
fn escape_lines(text: &str) -> String {
    text.split_inclusive('\n').map(|line| escape(line.trim_end_matches('\n')) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(answers: &'static str) -> Dialog {
        Dialog { input: Box::new(answers.as_bytes()) }
    }

    #[test]
    fn a_choice_is_one_of_them_or_none() {
        let mut screen = Screen::memory();
        assert_eq!(dialog("0\nx\n3\n2\n").choose(&mut screen, "Which?\n", 2).expect("chosen"), Some(2));
        assert_eq!(dialog("\n").choose(&mut screen, "Which?\n", 2).expect("none"), None);
        assert!(dialog("").choose(&mut screen, "Which?\n", 2).is_err(), "the end of input is no choice");
    }

    #[test]
    fn yes_is_what_is_not_no() {
        let mut screen = Screen::memory();
        for (answer, yes) in [("\n", true), ("yes\n", true), ("n\n", false), ("No\n", false)] {
            assert_eq!(dialog(answer).is_yes(&mut screen, "?").expect("answered"), yes, "{answer:?}");
        }
    }

    #[test]
    fn a_device_cannot_steer_the_terminal() {
        assert_eq!(escape_lines("one\x1b[2J\ntwo\n"), "one\\u{1b}[2J\ntwo\n");
    }
}
