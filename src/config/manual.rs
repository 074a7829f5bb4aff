//! The keys as the manual page `talasd.toml(5)`, in roff: the same descriptions that the shipped file is
//! printed from.

use std::collections::BTreeMap;

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::form::Form;
use super::keys::{Keys, describe};
use super::listing::{all_values, in_brackets};
use super::live::PROFILE;
use super::print::{service_defaults, takes};

const DESCRIPTION: &str = "\
The configuration of talasd(8), in TOML. Without --config it is read from /etc/talas/talasd.toml, and without that \
file every key has its default. What is wrong with it is told all at once, each with its place; \
talasd --check does so without starting the daemon, talasd --print-config prints what is in effect.";

const ENVIRONMENT: &str = "\
An environment variable wins over the file: TALAS_ and the key in capitals with __ between table and key, as in \
TALAS_HTTP__LISTEN for http.listen. Its value is TOML, else a string; a list also takes commas.";

/// The page.
pub fn manual() -> String {
    let mut pages = Pages {
        roff: Roff::new(),
        table: String::new(),
        defaults: all_values(&service_defaults()),
        profiles: 0,
    };
    pages.section("NAME", "talasd.toml - configuration of the Talas audio daemon");
    pages.section("DESCRIPTION", DESCRIPTION);
    describe(&mut pages, &mut service_defaults());
    pages.section("ENVIRONMENT", ENVIRONMENT);
    pages.section("FILES", "/etc/talas/talasd.toml");
    pages.section("SEE ALSO", "talasd(8), talasctl(1)");
    let mut page = Roff::new();
    let source = concat!("talas ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["talasd.toml", "5", "", source, "Talas"]);
    page.extend([pages.roff]);
    page.to_roff()
}

struct Pages {
    roff: Roff,
    table: String,
    defaults: BTreeMap<String, String>,
    /// Tables of profiles so far: what their keys mean is said with the first.
    profiles: usize,
}

impl Pages {
    fn section(&mut self, title: &str, text: &str) {
        self.roff.control("SH", [title]);
        self.roff.text([roman(text)]);
    }

    fn entry(&mut self, term: Vec<Inline>, about: &str, takes: &str) {
        self.roff.control("TP", []);
        self.roff.text(term);
        self.roff.text([roman(about.replace('\n', " "))]);
        self.roff.control("br", []);
        self.roff.text([italic(takes)]);
    }
}

impl Keys for Pages {
    fn table(&mut self, name: &str, _: bool, about: &'static str) {
        name.clone_into(&mut self.table);
        self.profiles += usize::from(name.starts_with(PROFILE));
        if self.profiles > 1 && name.starts_with(PROFILE) {
            return;
        }
        let name = if name.starts_with(PROFILE) { "profile.NAME" } else { name };
        self.section(&in_brackets(name), &about.replace('\n', " "));
    }

    fn key<T>(&mut self, name: &'static str, _: &mut T, form: &impl Form<T>, about: &'static str) {
        if self.profiles > 1 && self.table.starts_with(PROFILE) {
            return;
        }
        let path = format!("{}.{name}", self.table);
        let takes = takes(&path, form, &self.defaults);
        self.entry(vec![bold(name)], about, &takes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::{Known, last};
    use super::*;
    use crate::station::live::FIRST;

    #[test]
    fn every_key_is_in_it_and_nothing_twice() {
        let page = manual();
        let lines = |wanted: &str| page.lines().filter(|line| *line == wanted).count();
        let known = Known::new();
        let of_others = |name: &&String| !name.starts_with(PROFILE);
        for table in known.tables.iter().filter(of_others) {
            assert_eq!(lines(&format!(".SH {}", in_brackets(table))), 1, "{table}\n{page}");
        }
        for key in known.keys.iter().filter(of_others) {
            let name = last(key);
            let tables = known.keys.iter().filter(of_others).filter(|other| last(other) == name).count();
            let of_profiles = known.is_key(&format!("{PROFILE}{FIRST}.{name}"));
            assert_eq!(lines(&format!("\\fB{name}\\fR")), tables + usize::from(of_profiles), "{name}");
        }
    }
}
