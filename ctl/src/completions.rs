//! What completes the commands in a shell: made from the command line as it is parsed, so that it
//! cannot fall behind. No daemon is asked.

use clap::CommandFactory;
use clap_complete::generate;

use crate::args::{Args, Shell};
use crate::error::{Error, Kind, Result};

/// The script for this shell.
pub fn script(shell: Shell) -> Result<String> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "talasctl", &mut script);
    String::from_utf8(script)
        .map_err(|_| Error::new(Kind::Failed, "the script of completions is not UTF-8: a defect of talasctl"))
}
