//! The command line, and the questions that are answered without running.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use super::manual;
use crate::config::{self, Loaded};

/// Where the package has the drop-in that opens the service's sandbox to the network.
pub const NETWORK_DROP_IN: &str = "/usr/share/doc/talasd/examples/talasd-network.conf";

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
    /// Print a manual page, for who packages this program, and exit
    #[arg(long, value_name = "PAGE", hide = true, conflicts_with_all = ["check", "print_config"])]
    pub manual: Option<Page>,
}

/// The manual pages that are made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// `talasd(8)`
    Talasd,
    /// `talasd.toml(5)`
    #[value(name = "talasd.toml")]
    Configuration,
}

impl Page {
    /// Prints it.
    pub fn print(self) {
        let page = match self {
            Self::Talasd => manual::manual(),
            Self::Configuration => config::manual(),
        };
        // A reader that closed the pipe has had enough.
        let _ = std::io::stdout().write_all(page.as_bytes());
    }
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
        for need in config::network_needs(&loaded.config) {
            eprintln!("note: {need}: talasd.service needs the drop-in {NETWORK_DROP_IN} for that");
        }
        let file =
            loaded.file.as_ref().map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
        format!("{file}: ok\n")
    };
    // A reader that closed the pipe has had enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Some(ExitCode::SUCCESS)
}
