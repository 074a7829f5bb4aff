//! The manual pages `talasctl(1)`, `talasctl-status(1)` and so on: made from the command line as it is
//! parsed, so that they cannot fall behind. No daemon is asked.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::Args;
use crate::error::{Error, Kind, Result};

/// What the header of each page calls the collection.
const COLLECTION: &str = "Talas";

/// Writes a page for the program and one for each of its commands; returns how many.
pub fn write(dir: &Path) -> Result<usize> {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    write_page(dir, &program, "talasctl")
}

fn write_page(dir: &Path, command: &Command, name: &str) -> Result<usize> {
    let path = dir.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name))
        .map_err(|error| Error::new(Kind::Failed, format!("cannot write {}: {error}", path.display())))?;
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|inner| write_page(dir, inner, &format!("{name}-{}", inner.get_name()))).try_fold(
        1,
        |pages, written| {
            let written: usize = written?;
            Ok(pages + written)
        },
    )
}

fn page(command: &Command, name: &str) -> Vec<u8> {
    // A page is named as its file is: `man talasctl status` looks for talasctl-status.
    let named = command.clone().display_name(name.to_owned());
    let man = Man::new(named).manual(COLLECTION).source(concat!("talas ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = man.render(&mut page);
    let _ = see_also(name).to_writer(&mut page);
    page
}

fn see_also(name: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let parent = name.rsplit_once('-').map_or_else(String::new, |(parent, _)| format!("{parent}(1), "));
    roff.text([roman(format!("{parent}talasd(8), talasd.toml(5)"))]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_its_page() {
        let dir = tempfile::tempdir().expect("a directory");
        let pages = write(dir.path()).expect("written");
        assert_eq!(pages, std::fs::read_dir(dir.path()).expect("listed").count());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect(name);
        let program = read("talasctl.1");
        let shown = Args::command();
        for command in shown.get_subcommands().filter(|command| !command.is_hide_set()) {
            let page = read(&format!("talasctl-{}.1", command.get_name()));
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
            // Dashes are escaped in roff.
            let named = format!("talasctl-{}", command.get_name()).replace('-', "\\-");
            assert!(program.contains(&named), "{named} is not in\n{program}");
        }
        assert!(read("talasctl-connections-kick.1").contains("talasctl\\-connections(1)"));
    }
}
