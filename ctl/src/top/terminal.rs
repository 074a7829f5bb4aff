//! The whole terminal, taken and given back: raw mode, the alternate screen, and what gives them back
//! when the program ends otherwise than by its own will.

use std::io::{self, Stdout};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::disable_raw_mode;

use crate::error::{Error, Kind, Result};

/// The exit code of a panic, as Rust's own runtime has it.
const PANICKED: i32 = 101;

/// The terminal while it is ours; dropping gives it back.
pub struct FullScreen {
    /// Draws by writing what has changed and nothing else, which is why nothing flickers.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl FullScreen {
    /// Takes the terminal.
    pub fn enter() -> Result<Self> {
        // From here on a panic gives the terminal back before it speaks.
        let terminal = ratatui::try_init().map_err(|error| failed(&error))?;
        // In a thread it would end the thread alone, and the rest would go on drawing on a terminal that
        // is no longer ours.
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            std::process::exit(PANICKED);
        }));
        Ok(Self { terminal })
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}

/// Ends the process now, without a word to a terminal that may take none; keys echo again.
pub fn abandon() -> ! {
    let _ = disable_raw_mode();
    std::process::exit(0)
}

/// What the terminal, or the lack of one, did to us.
pub fn failed(error: &io::Error) -> Error {
    Error::new(Kind::Failed, format!("cannot use the terminal: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Command;

    use super::*;
    use crate::pty::{Pty, on_terminal};

    /// Run by the test below, on a terminal of its own, as a program.
    #[test]
    #[ignore = "it ends the process"]
    fn panics_in_a_thread() {
        let full_screen = FullScreen::enter().expect("a terminal");
        let thread = std::thread::spawn(|| panic!("as rehearsed"));
        // Only the end of the process ends this.
        let _ = thread.join();
        std::thread::sleep(std::time::Duration::from_secs(60));
        drop(full_screen);
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let mut pty = Pty::open(60, 10);
        let before = pty.modes();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "top::terminal::tests::panics_in_a_thread", "--ignored", "--nocapture"]);
        let mut child = on_terminal(&mut command, &mut pty).spawn().expect("it runs");
        let status = child.wait().expect("it ends");
        assert_eq!(pty.modes(), before, "cooked again");
        drop(command);
        pty.close_theirs();
        let mut bytes = Vec::new();
        // The kernel tells the end of a terminal as an error.
        let _ = pty.ours.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let left = text.find("\x1b[?1049l").expect("the alternate screen is left");
        let said = text.find("as rehearsed").expect("the panic is told");
        assert!(text.find("\x1b[?1049h").expect("it was entered") < left && left < said, "{text:?}");
        assert_eq!(status.code(), Some(PANICKED));
    }
}
