//! The keys of `[[live.push]]`: a list of tables, each with the same keys. By its number in the list a table
//! has a name too, as in `live.push.0.url` and `TALAS_LIVE__PUSH__0__URL`.

use crate::station::live::Suffix;
use crate::station::push::{MOST_PUSHES, Settings, Target};

use super::complaint::{Complaint, Place};
use super::form::{Switch, Word};
use super::keys::Keys;
use super::layer::Layer;
use super::text::{FILE_OR_NONE, NAME, PASSWORD, Text};

/// The list.
pub(super) const PUSH: &str = "live.push";

/// What an example shows.
const EXAMPLE: &str = "icecast://radio.example:8000/live.mp3";

/// The whole list. Where it is empty a table that counts for nothing is shown.
pub(super) fn describe(keys: &mut impl Keys, pushes: &mut [Settings]) {
    if pushes.is_empty() {
        let mut example = Settings { url: EXAMPLE.parse().ok(), ..Settings::default() };
        row(keys, (0, false), &mut example);
    }
    for (index, push) in pushes.iter_mut().enumerate() {
        row(keys, (index, true), push);
    }
}

fn row(keys: &mut impl Keys, (index, chosen): (usize, bool), push: &mut Settings) {
    keys.row(
        PUSH,
        (index, chosen),
        "Icecast servers to send live sound to, each in a table of its own: [[live.push]] again for the\n\
         next one.",
    );
    keys.key(
        "url",
        &mut push.url,
        &TARGET,
        "Where to: icecast://HOST:PORT/MOUNT, or http:// or https:// where that is spoken.",
    );
    keys.key("user", &mut push.user, &NAME, "The user that may send to this mount point.");
    keys.key(
        "password_file",
        &mut push.password_file,
        &FILE_OR_NONE,
        "A file with the password, of mode 0600. Without it, and without `password`: systemd's\n\
         credential talasd.push.",
    );
    keys.key(
        "password",
        &mut push.password,
        &PASSWORD,
        "The password itself, where a file is too much trouble. It is never shown.",
    );
    keys.key("profile", &mut push.profile, &NAME, "The profile.");
    keys.key("format", &mut push.format, &FORMAT, "Codec and container; flac is FLAC in Ogg.");
    listing(keys, push);
}

/// What the server shows of the stream.
fn listing(keys: &mut impl Keys, push: &mut Settings) {
    keys.key("name", &mut push.name, &WORDS, "What the server shows as name; without one it is live.name.");
    keys.key("description", &mut push.description, &WORDS, "What it shows as description.");
    keys.key("genre", &mut push.genre, &WORDS, "What it shows as genre.");
    keys.key("public", &mut push.public, &Switch, "Whether it may list the stream in a public directory.");
}

const TARGET: Text<Option<Target>> = Text {
    expects: "an address \"icecast://HOST:PORT/MOUNT\"",
    read: |text, _| text.parse().map(Some),
    write: |target| target.as_ref().map_or_else(String::new, Target::to_string),
    has_default: false,
};

const WORDS: Text<String> = Text {
    expects: "at most 200 letters",
    read: |text, _| {
        if text.chars().count() <= 200 {
            Ok(text.to_owned())
        } else {
            Err("expected at most 200 letters".to_owned())
        }
    },
    write: String::clone,
    has_default: true,
};

const FORMAT: Word<Suffix> = Word {
    words: &[
        ("mp3", Suffix::Mp3),
        ("aac", Suffix::Aac),
        ("opus", Suffix::Opus),
        ("ogg", Suffix::Ogg),
        ("flac", Suffix::Oga),
    ],
    later: &[],
};

/// A table of a layer that is not there yet is one more; in a variable it is the next one.
pub(super) fn add_rows(layer: &Layer<'_>, pushes: &mut Vec<Settings>, complaints: &mut Vec<Complaint>) {
    let prefix = format!("{PUSH}.");
    let number = |table: &str| table.strip_prefix(&prefix).and_then(|number| number.parse::<usize>().ok());
    let mut rows: Vec<(usize, &Place)> =
        layer.tables.iter().filter_map(|(table, place)| Some((number(table)?, place))).collect();
    rows.sort_unstable();
    for (index, place) in rows {
        if index >= MOST_PUSHES {
            let label = format!("expected {MOST_PUSHES} or fewer");
            complaints.push(Complaint::new(format!("too many tables [[{PUSH}]]"), place.clone(), label));
            return;
        }
        if index > pushes.len() {
            let label = format!("the next one has the number {}", pushes.len());
            let title = format!("there is no table {} of [[{PUSH}]]", index - 1);
            complaints.push(Complaint::new(title, place.clone(), label));
        } else if index == pushes.len() {
            pushes.push(Settings::default());
        }
    }
}
