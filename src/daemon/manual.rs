//! The manual page `talasd(8)`: options from the command line as it is parsed, and beside them what an
//! operator looks for in such a page.

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::cli::Arguments;
use crate::error::Kind;

const DESCRIPTION: &str = "\
talasd captures sound from ALSA and serves it: live frames and live audio over HTTP, and files. It runs in the \
foreground; under systemd as talasd.service, which serves on sockets inherited from talasd-http.socket and \
talasd-control.socket. talasctl(1) steers it.";

/// What a signal does.
const SIGNALS: [(&str, &str); 2] = [
    ("SIGHUP", "reads the configuration again, as talasctl reload does"),
    ("SIGTERM, SIGINT", "lets listeners go and ends; a second one ends at once"),
];

const FILES: [(&str, &str); 5] = [
    ("/etc/talas/talasd.toml", "the configuration, see talasd.toml(5)"),
    (
        "/etc/credstore/talasd.jwt",
        "the secret that tokens are signed with, made when the package is installed",
    ),
    ("/var/lib/talas", "what outlives a restart: whether it is paused, keys and revocations, the library"),
    ("/var/cache/talas", "what can be made again"),
    ("/run/talas/talasd.sock", "the control socket"),
];

const ENVIRONMENT: &str = "\
TALAS_ and the name of a key sets this key, as in TALAS_LOG__LEVEL for log.level. STATE_DIRECTORY, \
CONFIGURATION_DIRECTORY, CREDENTIALS_DIRECTORY, NOTIFY_SOCKET and WATCHDOG_USEC are taken as systemd gives them.";

/// The page.
pub fn manual() -> String {
    let command = Arguments::command().after_help("");
    let source = concat!("talas ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).section("8").manual("Talas").source(source);
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    let _ = text("DESCRIPTION", DESCRIPTION).to_writer(&mut page);
    let _ = man.render_options_section(&mut page);
    let _ =
        list("SIGNALS", SIGNALS.map(|(name, does)| (name.to_owned(), does.to_owned()))).to_writer(&mut page);
    let _ = list("FILES", FILES.map(|(path, is)| (path.to_owned(), is.to_owned()))).to_writer(&mut page);
    let _ = text("ENVIRONMENT", ENVIRONMENT).to_writer(&mut page);
    let _ = list("EXIT STATUS", exit_codes()).to_writer(&mut page);
    let _ = text("SEE ALSO", "talasctl(1), talasd.toml(5), systemctl(1), journalctl(1)").to_writer(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}

fn exit_codes() -> [(String, String); 5] {
    let code = |code: u8, means: &str| (code.to_string(), means.to_owned());
    [
        code(0, "it ended as it was told to"),
        code(Kind::Internal.exit_code(), "it failed while running"),
        code(Kind::Usage.exit_code(), "the command line is wrong"),
        code(Kind::Config.exit_code(), "the configuration is wrong"),
        code(
            Kind::Required.exit_code(),
            "a socket or device that the configuration calls required could not be had",
        ),
    ]
}

fn text(title: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff.text([roman(text)]);
    roff
}

fn list(title: &str, entries: impl IntoIterator<Item = (String, String)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, about) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(about)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_it() {
        let page = manual();
        let command = Arguments::command();
        for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
            let long = option.get_long().expect("all options have a long name").replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{long}")), "{long} is not in\n{page}");
        }
        assert!(!page.contains("\\-\\-manual"));
    }
}
