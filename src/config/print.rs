//! The configuration as a file: every key with its meaning, what it takes, and its default.
//!
//! What is printed reads back as the same configuration. The shipped file is printed by the same
//! code, so it cannot drift from what the daemon reads.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Config;
use super::form::Form;
use super::keys::{Keys, describe};
use super::listing::all_values;

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
    let mut config = Config::default();
    config.control.socket = SERVICE_SOCKET.into();
    config.library.dirs = vec![SERVICE_LIBRARY.into()];
    printed(&config, &config)
}

fn printed(config: &Config, defaults: &Config) -> String {
    let mut printer = Printer { text: HEAD.to_owned(), mark: "", table: "", defaults: all_values(defaults) };
    describe(&mut printer, &mut config.clone());
    printer.text
}

struct Printer {
    text: String,
    /// Before every line of a table that is not chosen.
    mark: &'static str,
    table: &'static str,
    defaults: BTreeMap<String, String>,
}

impl Printer {
    fn comment(&mut self, about: &str) {
        for line in about.lines() {
            self.line(format_args!("# {line}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn takes<T>(&self, path: &str, form: &impl Form<T>) -> String {
        let expects = form.expects();
        let mut letters = expects.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter();
        let takes: String = first.chain(letters).collect();
        match self.defaults.get(path).filter(|_| form.has_default()) {
            Some(default) => format!("{takes}. Default: {default}"),
            None => format!("{takes}. Must be given."),
        }
    }
}

impl Keys for Printer {
    fn table(&mut self, name: &'static str, chosen: bool, about: &'static str) {
        self.table = name;
        self.mark = if chosen { "" } else { "#" };
        let mark = self.mark;
        self.line(format_args!(""));
        self.comment(about);
        self.line(format_args!("{mark}[{name}]"));
    }

    fn key<T>(&mut self, name: &'static str, value: &mut T, form: &impl Form<T>, about: &'static str) {
        let (value, mark) = (form.write(value), self.mark);
        let takes = self.takes(&format!("{}.{name}", self.table), form);
        self.line(format_args!(""));
        self.comment(about);
        self.comment(&takes);
        self.line(format_args!("{mark}{name} = {value}"));
    }
}
