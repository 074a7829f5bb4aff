//! Changes the configuration file and leaves everything else in it as its owner wrote it, comments included.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::machine;
use crate::error::{Error, Kind, Result};

/// Reads the file, changes it, has talasd check it, and puts it in place of the old one.
pub fn change(path: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Error::new(Kind::Failed, format!("cannot read {}: {error}", path.display())));
        }
    };
    let new = change(&old)?;
    if new == old {
        return Ok(());
    }
    machine::replace_checked(path, &new)
}

/// The text with this capture device, and with no other source beside it.
pub fn with_device(text: &str, device: &str) -> Result<String> {
    edited(text, |document| {
        let capture = table(document.as_table_mut(), "capture")?;
        for other in ["file", "tone"] {
            capture.remove(other);
        }
        table(capture, "alsa")?["device"] = value(device);
        Ok(())
    })
}

/// The text with these names among those that the door answers to.
pub fn with_hosts(text: &str, names: &[String]) -> Result<String> {
    edited(text, |document| {
        let http = table(document.as_table_mut(), "http")?;
        let hosts = http.entry("hosts").or_insert_with(|| value(Array::new()));
        let hosts = hosts.as_array_mut().ok_or_else(|| unfit("http.hosts is no list"))?;
        for name in names {
            if !hosts.iter().any(|known| known.as_str() == Some(name)) {
                hosts.push(name.as_str());
            }
        }
        Ok(())
    })
}

fn edited(text: &str, edit: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error| unfit(&format!("{error}")))?;
    edit(&mut document)?;
    Ok(document.to_string())
}

/// A table within a table; made where it is missing.
fn table<'a>(parent: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    let item = parent.entry(name).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    if item.is_inline_table() {
        // `capture = { … }` is as good, and cannot hold a table of its own.
        let inline = std::mem::take(item);
        *item = Item::Table(inline.into_table().unwrap_or_default());
    }
    item.as_table_mut().ok_or_else(|| unfit(&format!("{name} is no table")))
}

fn unfit(why: &str) -> Error {
    Error::new(Kind::Failed, format!("the configuration cannot be changed: {why}"))
        .hint("talasd --check shows what is wrong with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_takes_the_place_of_every_source() {
        let old = "# mine\n[http]\nmax_streams = 5 # few\n\n[capture]\nchannels = 1\n\n[capture.tone]\nlevel_dbfs = -6\n";
        let new = with_device(old, "hw:CARD=Device,DEV=0").expect("changed");
        assert!(
            new.starts_with("# mine\n[http]\nmax_streams = 5 # few\n\n[capture]\nchannels = 1\n"),
            "{new}"
        );
        assert!(new.contains("[capture.alsa]\ndevice = \"hw:CARD=Device,DEV=0\"\n"), "{new}");
        assert!(!new.contains("tone"), "{new}");
        assert_eq!(with_device(&new, "hw:CARD=Device,DEV=0").expect("again"), new, "twice is once");
        for empty in ["", "# nothing\n", "[capture]\n", "capture = {}\n", "capture.channels = 2\n"] {
            let new = with_device(empty, "x").expect(empty);
            let read: DocumentMut = new.parse().expect("TOML");
            assert_eq!(read["capture"]["alsa"]["device"].as_str(), Some("x"), "{empty:?} {new}");
        }
    }

    #[test]
    fn the_shipped_file_stays_what_it_is_but_for_the_key() {
        let shipped = include_str!("../../../etc/talasd.toml");
        let new = with_device(shipped, "hw:CARD=X").expect("changed");
        let different = shipped.lines().zip(new.lines()).filter(|(old, new)| old != new).count();
        assert_eq!((different, shipped.lines().count()), (1, new.lines().count()));
    }

    #[test]
    fn names_are_added_once() {
        let names = ["studio".to_owned(), "studio.local".to_owned()];
        let new = with_hosts("http.hosts = [\"radio.example\"]\n", &names).expect("changed");
        assert_eq!(new, "http.hosts = [\"radio.example\", \"studio\", \"studio.local\"]\n");
        assert_eq!(with_hosts(&new, &names).expect("again"), new);
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        for wrong in ["[capture", "capture = 5\n", "[capture]\nalsa = 1\n"] {
            assert!(with_device(wrong, "x").is_err(), "{wrong:?}");
        }
        assert!(with_hosts("[http]\nhosts = 1\n", &["x".to_owned()]).is_err());
    }
}
