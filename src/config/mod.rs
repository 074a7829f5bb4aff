//! The configuration: the only parser, and the sum of every module's settings.
//!
//! Each module owns its own `Settings`; [`Config`] is their sum, and nothing below this floor knows
//! it. Every key is described once, in `keys`: its name, how it is written, what it means. The reader,
//! the printer and the comparison are walked past that one description.
//!
//! A configuration has layers: defaults, then the file, then the founding aliases (`STREAM_SERVER_PORT`
//! and the like), then the `TALAS_` variables; a higher one wins key by key. The table of a source
//! (`[capture.tone]`) replaces that of another source in a lower layer.
//!
//! All that is wrong is told in one run, each with its place, its line and a caret. What is not here:
//! what a value does, and whether a device, file or group that is named exists.

mod alias;
mod analysis;
mod complaint;
mod document;
mod effects;
mod environment;
mod form;
mod keys;
mod layer;
mod limits;
mod listing;
mod live;
mod manual;
mod network;
mod print;
mod push;
mod read;
mod roles;
mod rules;
mod suggest;
mod syntax;
mod text;

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::tools::{journal, paths};
use crate::{access, capture, control, dsp, http, library, station};

use document::Document;

pub use environment::Environment;
pub use listing::{Difference, differences};
pub use manual::manual;
pub use network::network_needs;
pub use print::{print, sample};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[http]`
    pub http: http::settings::Settings,
    /// `[control]`
    pub control: control::settings::Settings,
    /// `[log]`
    pub log: journal::Settings,
    /// `[capture]`
    pub capture: capture::settings::Settings,
    /// `[process]`
    pub process: station::processing::Settings,
    /// `[analysis]`
    pub analysis: dsp::analysis::Settings,
    /// `[live]` and `[profile.NAME]`
    pub live: station::live::Settings,
    /// `[[live.push]]`
    pub push: Vec<station::push::Settings>,
    /// `[library]`
    pub library: library::Settings,
    /// `[access]`
    pub access: access::Settings,
}

/// A configuration that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What is in effect.
    pub config: Config,
    /// What is allowed but unwise, a line each.
    pub warnings: Vec<String>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// Reads the configuration: `file`, or the default one if it exists, and the environment over it.
///
/// # Errors
/// [`Kind::Config`](crate::error::Kind::Config). Its message is made for a terminal: it shows every
/// place to mend, in several lines, and ends with their number.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded> {
    let document = match file {
        Some(path) => Some(Document::read(path)?),
        None => Document::read_if_there(&paths::config_file())?,
    };
    let (config, warnings) = read::read(document.as_ref(), environment)?;
    Ok(Loaded { config, warnings, file: document.map(|document| document.path().to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    #[test]
    fn fuzz_config() {
        const SEEDS: &[&str] = &[
            "[http]\nlisten = [\"127.0.0.1:8080\", \"[::1]:8080\"]\nmax_streams = 5\n[capture.tone]\nlevel_dbfs = -18.0\n",
            "access.mode = \"token\"\naccess.roles = { dj = [\"listen\"] }\n[access.limits.user]\nstreams = 3\n",
            "[process]\neffects = [{ type = \"high_pass\", frequency_hz = 80 }, { type = \"limiter\" }]\n",
            "[profile.studio]\ncodec = \"flac\"\nsample_rate = 96000\nbit_depth = 24\n[log]\nlevel = \"debug\"\n",
        ];
        const WORDS: &[&str] = &[
            "[",
            "]",
            "{",
            "}",
            "=",
            "\"",
            "\"\"\"",
            "\n",
            ".",
            "#",
            "-inf",
            "nan",
            "0x7fffffffffffffff",
            "1e999",
            "true",
            "1979-05-27T07:32:00Z",
            "[[http]]",
            "http.listen",
            "\u{feff}",
            "\u{0}",
            "\\u",
        ];
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("fuzz.toml");
        let load = |text: &str| {
            fs::write(&file, text).expect("written");
            load(Some(&file), &Environment::default()).map(|loaded| loaded.config)
        };
        fuzz(
            SEEDS,
            WORDS,
            as_text(|text| match load(text) {
                Ok(config) => assert_eq!(load(&print(&config)).expect("what is printed reads back"), config),
                Err(error) => {
                    let (_, sum) = error.message().rsplit_once("\n\n").unwrap_or(("", error.message()));
                    assert!(sum.contains(" error"), "{error}");
                }
            }),
        );
    }
}
