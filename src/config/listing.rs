//! The keys as lists: which there are, and what a configuration has in them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::station::live::FIRST;

use super::Config;
use super::form::Form;
use super::keys::{Keys, describe};
use super::live::PROFILE;
use super::push::PUSH;

/// Names of everything that a configuration may hold.
#[derive(Debug)]
pub(super) struct Known {
    /// Dotted names of the tables, in the order of the shipped file.
    pub(super) tables: Vec<String>,
    /// Dotted names of the keys, in the order of the shipped file.
    pub(super) keys: Vec<String>,
}

impl Known {
    /// What this version knows.
    pub(super) fn new() -> Self {
        Self::of(&Config::default())
    }

    /// What a configuration holds: as [`Known::new`], and its own profiles.
    pub(super) fn of(config: &Config) -> Self {
        let mut known = Self { tables: Vec::new(), keys: Vec::new() };
        describe(&mut known, &mut config.clone());
        known
    }

    /// Whether a dotted name is a table.
    pub(super) fn is_table(&self, path: &str) -> bool {
        let path = &*representative(path);
        let inside = |table: &str| table.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.tables.iter().any(|table| table == path || inside(table))
    }

    /// Whether a dotted name is a list of tables.
    pub(super) fn is_list(&self, path: &str) -> bool {
        path == PUSH
    }

    /// Whether a dotted name is a key.
    pub(super) fn is_key(&self, path: &str) -> bool {
        let path = representative(path);
        self.keys.iter().any(|key| *key == path)
    }

    /// The keys and tables directly in a table; all tables at the top for `""`.
    pub(super) fn inside(&self, table: &str) -> Vec<&str> {
        if table.is_empty() {
            let mut tops: Vec<&str> = self.tables.iter().map(|path| first(path)).collect();
            tops.dedup();
            return tops;
        }
        let table = &*representative(table);
        let names = self.keys.iter().chain(&self.tables).map(String::as_str);
        names.filter(|path| parent(path) == table).map(last).collect()
    }
}

/// Every profile has the same keys: a name below one that is not built in stands for that of one that is. And
/// so it is with the tables of a list.
fn representative(path: &str) -> Cow<'_, str> {
    if let Some(inside) = path.strip_prefix(PUSH).and_then(|rest| rest.strip_prefix('.')) {
        return match inside.split_once('.') {
            Some((_, key)) => format!("{PUSH}.0.{key}").into(),
            None => format!("{PUSH}.0").into(),
        };
    }
    let Some(inside) = path.strip_prefix(PROFILE) else { return path.into() };
    match inside.split_once('.') {
        Some((_, key)) => format!("{PROFILE}{FIRST}.{key}").into(),
        None => format!("{PROFILE}{FIRST}").into(),
    }
}

/// A table in its brackets, as it stands in the file.
pub(super) fn in_brackets(table: &str) -> String {
    match table.rsplit_once('.') {
        Some((PUSH, _)) => format!("[[{PUSH}]]"),
        _ => format!("[{table}]"),
    }
}

/// The table that a dotted name stands in; `""` at the top.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(table, _)| table)
}

/// The first part of a dotted name.
fn first(path: &str) -> &str {
    path.split_once('.').map_or(path, |(first, _)| first)
}

/// The last part of a dotted name.
pub(super) fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

impl Keys for Known {
    fn table(&mut self, name: &str, _: bool, _: &'static str) {
        self.tables.push(name.to_owned());
    }

    fn key<T>(&mut self, name: &'static str, _: &mut T, _: &impl Form<T>, _: &'static str) {
        let table = self.tables.last().map_or("", String::as_str);
        self.keys.push(format!("{table}.{name}"));
    }
}

/// What a configuration has in its keys, as TOML, by dotted name; without sources that are not chosen.
pub(super) fn values(config: &Config) -> BTreeMap<String, String> {
    let mut values = Values::default();
    describe(&mut values, &mut config.clone());
    values.found
}

/// As [`values`], and the sources that are not chosen with their defaults.
pub(super) fn all_values(config: &Config) -> BTreeMap<String, String> {
    let mut values = Values { everything: true, ..Values::default() };
    describe(&mut values, &mut config.clone());
    values.found
}

#[derive(Default)]
struct Values {
    table: String,
    chosen: bool,
    everything: bool,
    found: BTreeMap<String, String>,
}

impl Keys for Values {
    fn table(&mut self, name: &str, chosen: bool, _: &'static str) {
        (self.table, self.chosen) = (name.to_owned(), chosen);
    }

    fn key<T>(&mut self, name: &'static str, value: &mut T, form: &impl Form<T>, _: &'static str) {
        if self.chosen || self.everything {
            let value = if self.everything { form.write(value) } else { form.compared(value) };
            self.found.insert(format!("{}.{name}", self.table), value);
        }
    }
}

/// A key whose value differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its dotted name.
    pub key: String,
    /// Its old value as TOML; none where its source was not chosen.
    pub old: Option<String>,
    /// Its new value as TOML; none where its source is no longer chosen.
    pub new: Option<String>,
}

/// The keys whose values differ, by name.
pub fn differences(old: &Config, new: &Config) -> Vec<Difference> {
    let (mut old, new) = (values(old), values(new));
    let mut differences: Vec<Difference> = new
        .into_iter()
        .map(|(key, new)| Difference { old: old.remove(&key), new: Some(new), key })
        .filter(|difference| difference.old != difference.new)
        .collect();
    differences.extend(old.into_iter().map(|(key, old)| Difference { key, old: Some(old), new: None }));
    differences.sort_by(|one, other| one.key.cmp(&other.key));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_once() {
        let known = Known::new();
        let mut names: Vec<&str> = known.keys.iter().chain(&known.tables).map(String::as_str).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(known.keys.iter().all(|key| known.is_table(parent(key))));
    }
}
