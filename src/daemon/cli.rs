//! The command line, and the questions that are answered without running.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::config::{self, Loaded};

/// Captures sound and serves it: live frames over HTTP, steered by talasctl.
#[derive(Debug, Parser)]
#[command(name = "talasd", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 runtime failure, 2 usage, 3 configuration, 4 a required socket or device \
                        could not be had.\nEvery key can be set by the environment: TALAS_HTTP__LISTEN for http.listen."
)]
pub struct Arguments {
    /// Configuration file [default: /etc/talas/talasd.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long, conflicts_with = "print_config")]
    pub check: bool,
    /// Print the effective configuration, itself a valid file, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// Answers `--check` and `--print-config`; `None` asks for the daemon itself.
pub fn answer(arguments: &Arguments, loaded: &Loaded) -> Option<ExitCode> {
    if !arguments.check && !arguments.print_config {
        return None;
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let text = if arguments.print_config {
        config::print(&loaded.config)
    } else {
        let file =
            loaded.file.as_ref().map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
        format!("{file}: ok\n")
    };
    // A reader that closed the pipe has had enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Some(ExitCode::SUCCESS)
}
