//! One layer of the configuration, flattened: which keys it sets, to what, and where that stands.
//!
//! The file is one layer, the founding aliases are the next, the `TALAS_` variables the topmost. All
//! are read by the same reader. Here names are judged (unknown, not built yet, a table for a key);
//! values are not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::complaint::{Complaint, Place};
use super::keys::NOT_BUILT;
use super::listing::{Known, in_brackets, last, parent};
use super::suggest::{nearest, sentence};

/// The keys that one layer sets.
#[derive(Debug, Default)]
pub(super) struct Layer<'a> {
    /// By dotted name.
    pub(super) entries: BTreeMap<String, Entry<'a>>,
    /// Tables that are there, empty ones too: they choose the source.
    pub(super) tables: BTreeMap<String, Place>,
    /// What relative paths are relative to.
    pub(super) base: PathBuf,
}

/// A value that a layer sets.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// In the file.
    File(Spanned<DeValue<'a>>),
    /// In a variable, as text.
    Variable {
        /// The variable.
        name: &'a str,
        /// What it holds.
        text: &'a str,
    },
    /// Made of a founding variable.
    Alias {
        /// The variable.
        name: &'a str,
        /// What it holds.
        text: &'a str,
        /// What that means for the key.
        value: Spanned<DeValue<'a>>,
    },
}

impl<'a> Entry<'a> {
    /// What the entry can mean, the likelier reading first.
    pub(super) fn readings(&self, is_list: bool) -> Vec<Spanned<DeValue<'a>>> {
        match self {
            Self::File(value) | Self::Alias { value, .. } => vec![value.clone()],
            Self::Variable { text, .. } => readings(text, is_list),
        }
    }

    /// Where a span of its value stands.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        match self {
            Self::File(_) => Place::file(span),
            Self::Variable { name, text } => Place::in_variable(name, text, &span),
            Self::Alias { name, text, .. } => Place::in_variable(name, text, &(0..text.len())),
        }
    }

    /// Where its whole value stands.
    pub(super) fn whole(&self) -> Place {
        match self {
            Self::File(value) => self.place(value.span()),
            Self::Variable { text, .. } | Self::Alias { text, .. } => self.place(0..text.len()),
        }
    }
}

/// A variable's value: TOML, else a string; a list also by commas.
fn readings<'a>(text: &'a str, is_list: bool) -> Vec<Spanned<DeValue<'a>>> {
    let toml = DeValue::parse(text).ok();
    if is_list {
        let array = toml.filter(|value| value.get_ref().is_array());
        return vec![array.unwrap_or_else(|| by_commas(text))];
    }
    let plain = Spanned::new(0..text.len(), DeValue::String(text.into()));
    toml.into_iter().chain([plain]).collect()
}

fn by_commas(text: &str) -> Spanned<DeValue<'_>> {
    let mut start = 0;
    let entries = text.split(',').filter_map(|part| {
        let at = start + part.len() - part.trim_start().len();
        start += part.len() + 1;
        let part = part.trim();
        let span = at..at + part.len();
        // In quotes or not: both are written.
        let quoted = DeValue::parse(part).ok().map(Spanned::into_inner).filter(DeValue::is_str);
        let value = quoted.unwrap_or_else(|| DeValue::String(part.into()));
        (!part.is_empty()).then(|| Spanned::new(span, value))
    });
    let entries = entries.collect();
    Spanned::new(0..text.len(), DeValue::Array(entries))
}

/// Flattens the file.
pub(super) fn of_file<'a>(
    root: &DeTable<'a>,
    base: PathBuf,
    known: &Known,
    complaints: &mut Vec<Complaint>,
) -> Layer<'a> {
    let mut walk = Walk { known, complaints, layer: Layer { base, ..Layer::default() } };
    walk.table(root, "");
    walk.layer
}

struct Walk<'w, 'a> {
    known: &'w Known,
    complaints: &'w mut Vec<Complaint>,
    layer: Layer<'a>,
}

impl<'a> Walk<'_, 'a> {
    fn table(&mut self, table: &DeTable<'a>, path: &str) {
        for (name, value) in table.iter() {
            // The parser puts a key without letters where it missed one, and says so itself.
            if !name.span().is_empty() {
                self.entry(path, name, value);
            }
        }
    }

    fn entry(&mut self, table: &str, name: &Spanned<DeString<'a>>, value: &Spanned<DeValue<'a>>) {
        let path = dotted(table, name.get_ref());
        let path = path.as_str();
        if self.known.is_key(path) {
            self.layer.entries.insert(path.to_owned(), Entry::File(value.clone()));
        } else if self.known.is_list(path) {
            self.list(path, value);
        } else if !self.known.is_table(path) {
            let is_table = value.get_ref().is_table() || is_array_of_tables(value.get_ref());
            self.complaints.push(stranger(table, name, is_table, self.known));
        } else if let DeValue::Table(inner) = value.get_ref() {
            self.layer.tables.insert(path.to_owned(), Place::file(value.span()));
            self.table(inner, path);
        } else if is_array_of_tables(value.get_ref()) {
            let label = format!("there is one, so it has single brackets: [{path}]");
            self.complaints.push(Complaint::new(
                format!("`{path}` is no list of tables"),
                Place::file(value.span()),
                label,
            ));
        } else {
            let label = format!("expected a table: [{path}] and its keys beneath");
            self.complaints.push(Complaint::new(
                format!("`{path}` is a table, not a key"),
                Place::file(value.span()),
                label,
            ));
        }
    }

    /// A list of tables: each under its number.
    fn list(&mut self, path: &str, value: &Spanned<DeValue<'a>>) {
        let array = value.get_ref().as_array();
        let Some(array) = array.filter(|array| array.iter().all(|entry| entry.get_ref().is_table())) else {
            let label = format!("expected a list of tables: [[{path}]] and its keys beneath");
            let title = format!("`{path}` is a list of tables");
            return self.complaints.push(Complaint::new(title, Place::file(value.span()), label));
        };
        for (number, entry) in array.iter().enumerate() {
            if let DeValue::Table(inner) = entry.get_ref() {
                let path = format!("{path}.{number}");
                self.layer.tables.insert(path.clone(), Place::file(entry.span()));
                self.table(inner, &path);
            }
        }
    }
}

/// `[[name]]`, not a list of inline tables.
fn is_array_of_tables(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .is_some_and(|array| !array.is_empty() && array.iter().all(|entry| entry.get_ref().is_table()))
}

fn dotted(table: &str, name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // A quoted key may hold a dot: it must not pass for two levels.
    let name =
        if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { format!("{name:?}") };
    if table.is_empty() { name } else { format!("{table}.{name}") }
}

/// Whether a dotted name is, or stands in, a part that is promised and not built.
pub(super) fn is_not_built(path: &str) -> bool {
    NOT_BUILT
        .iter()
        .any(|part| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn stranger(table: &str, name: &Spanned<DeString<'_>>, is_table: bool, known: &Known) -> Complaint {
    let place = Place::file(name.span());
    let (path, name) = (dotted(table, name.get_ref()), name.get_ref());
    let shown =
        |path: &str, is_table: bool| if is_table { format!("`[{path}]`") } else { format!("`{path}`") };
    let what = if is_table { "table" } else { "key" };
    if is_not_built(&path) {
        let title = format!("{} is not built yet in this version", shown(&path, is_table));
        return Complaint::new(title, place, format!("leave out this {what}"));
    }
    let title = format!("unknown {what} {}", shown(&path, is_table));
    let bare = if table.is_empty() { name.to_string() } else { format!("{table}.{name}") };
    if known.is_key(&bare) {
        return Complaint::new(title, place, format!("without quotes: {name}"));
    }
    let siblings = known.inside(table);
    if let Some(meant) = nearest(name, &siblings) {
        let whole = dotted(table, meant);
        let meant = if known.is_list(&whole) {
            format!("`[[{whole}]]`")
        } else if known.is_table(&whole) {
            shown(&whole, true)
        } else {
            shown(meant, false)
        };
        return Complaint::new(title, place, format!("did you mean {meant}?"));
    }
    if let Some(key) = known.keys.iter().find(|key| last(key) == name.as_ref()) {
        return Complaint::new(title, place, format!("`{name}` is a key of {}", in_brackets(parent(key))));
    }
    if table.is_empty() {
        let help = format!("the tables are {}", sentence(&siblings));
        return Complaint::new(title, place, "not a part of the configuration").help(help);
    }
    let table = in_brackets(table);
    let help = format!("{table} holds {}", sentence(&siblings));
    Complaint::new(title, place, format!("not a part of {table}")).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_between_commas_know_their_place() {
        let text = " a,'b' ,, c d,";
        let list = by_commas(text);
        let entries: Vec<(&str, &str)> = list
            .get_ref()
            .as_array()
            .expect("list")
            .iter()
            .map(|entry| (entry.get_ref().as_str().expect("text"), &text[entry.span()]))
            .collect();
        assert_eq!(entries, [("a", "a"), ("b", "'b'"), ("c d", "c d")]);
    }

    #[test]
    fn what_is_built_is_not_said_to_be_unbuilt() {
        let known = Known::new();
        assert!(known.keys.iter().all(|key| !is_not_built(key)));
        assert!(known.tables.iter().all(|table| !is_not_built(table)));
        assert!(is_not_built("hls") && is_not_built("hls.live.window_s") && !is_not_built("hlsx"));
    }

    #[test]
    fn a_quoted_dot_is_no_level() {
        assert_eq!(dotted("http", "listen"), "http.listen");
        assert_eq!(dotted("", "http.listen"), "\"http.listen\"");
        assert_eq!(dotted("", ""), "\"\"");
    }
}
