//! The configuration as a file: every key with its meaning, what it takes, and its default.
//!
//! What is printed reads back as the same configuration. The shipped file is printed by the same
//! code, so it cannot drift from what the daemon reads.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Config;
use super::form::Form;
use super::keys::{Keys, describe};
use super::listing::{all_values, in_brackets};
use super::live::PROFILE;

const HEAD: &str = "\
# Configuration of talasd, every key with its meaning, what it takes and its default.
#
# A key that is left out has its default. `talasd --check` validates this file, `talasd --print-config`
# prints what is in effect. An environment variable wins over this file: TALAS_ and the key in capitals
# with __ between table and key, as in TALAS_HTTP__LISTEN or TALAS_CAPTURE__ALSA__DEVICE.
";

/// Where the service has its control socket. A daemon run by hand has another, which is of no use in
/// the shipped file.
const SERVICE_SOCKET: &str = "/run/talas/talasd.sock";

/// And its library, where the service keeps its state.
const SERVICE_LIBRARY: &str = "/var/lib/talas/library";

/// The configuration as TOML, with comments; reading it gives the same configuration.
pub fn print(config: &Config) -> String {
    printed(config, &Config::default())
}

/// The file that is shipped as `etc/talasd.toml`: all defaults, as the service has them.
pub fn sample() -> String {
    let config = service_defaults();
    printed(&config, &config)
}

/// All defaults, as the service has them.
pub(super) fn service_defaults() -> Config {
    let mut config = Config::default();
    config.control.socket = SERVICE_SOCKET.into();
    config.library.dirs = vec![SERVICE_LIBRARY.into()];
    config
}

fn printed(config: &Config, defaults: &Config) -> String {
    let mut printer = Printer {
        text: HEAD.to_owned(),
        mark: "",
        table: String::new(),
        defaults: all_values(defaults),
        has_profile: false,
        is_further: false,
    };
    describe(&mut printer, &mut config.clone());
    printer.text
}

struct Printer {
    text: String,
    /// Before every line of a table that is not chosen.
    mark: &'static str,
    table: String,
    defaults: BTreeMap<String, String>,
    /// Whether a profile was printed: what its keys mean is said once.
    has_profile: bool,
    /// Whether this is a further table of a list.
    is_further: bool,
}

impl Printer {
    fn comment(&mut self, about: &str) {
        for line in about.lines() {
            self.line(format_args!("# {line}"));
        }
    }

    fn begin(&mut self, name: &str, chosen: bool, about: &str) {
        name.clone_into(&mut self.table);
        self.mark = if chosen { "" } else { "#" };
        let (mark, header) = (self.mark, in_brackets(name));
        self.line(format_args!(""));
        if !self.is_said() {
            self.comment(about);
        }
        self.line(format_args!("{mark}{header}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Whether the meaning of this table's keys was said for another table.
    fn is_said(&self) -> bool {
        self.is_further || (self.has_profile && self.table.starts_with(PROFILE))
    }
}

/// What a key takes, and what it has by default.
pub(super) fn takes<T>(path: &str, form: &impl Form<T>, defaults: &BTreeMap<String, String>) -> String {
    let expects = form.expects();
    let mut letters = expects.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter();
    let takes: String = first.chain(letters).collect();
    match defaults.get(path).filter(|_| form.has_default()) {
        // Each profile has its own, which stand there.
        _ if path.starts_with(PROFILE) => format!("{takes}."),
        Some(default) => format!("{takes}. Default: {default}"),
        None => format!("{takes}. Must be given."),
    }
}

impl Keys for Printer {
    fn table(&mut self, name: &str, chosen: bool, about: &'static str) {
        self.has_profile |= self.table.starts_with(PROFILE);
        self.is_further = false;
        self.begin(name, chosen, about);
    }

    fn row(&mut self, list: &'static str, (number, chosen): (usize, bool), about: &'static str) {
        self.is_further = number > 0;
        self.begin(&format!("{list}.{number}"), chosen, about);
    }

    fn key<T>(&mut self, name: &'static str, value: &mut T, form: &impl Form<T>, about: &'static str) {
        let is_hidden = form.is_secret() && !form.compared(value).is_empty();
        let (value, mark) = (form.write(value), self.mark);
        if !self.is_said() {
            let takes = takes(&format!("{}.{name}", self.table), form, &self.defaults);
            self.line(format_args!(""));
            self.comment(about);
            self.comment(&takes);
        }
        if is_hidden {
            self.line(format_args!("# {name} is set, and not shown."));
        } else {
            self.line(format_args!("{mark}{name} = {value}"));
        }
    }
}
