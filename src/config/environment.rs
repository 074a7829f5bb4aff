//! The environment as a layer: `TALAS_` and a key in capitals, `__` between table and key.
//!
//! The value is TOML, else a string; lists also by commas. A name that begins with `TALAS_` and is no
//! key is an error: it is a key misspelt, and what it was to change stays unchanged. The founding
//! names are in `alias`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::complaint::{Complaint, Place};
use super::layer::{Entry, Layer, is_not_built};
use super::listing::{Known, last, parent};
use super::push::PUSH;
use super::suggest::nearest;

/// What every variable of the configuration begins with.
const PREFIX: &str = "TALAS_";

/// Environment variables: the process's own, or a test's.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        env::vars_os().collect()
    }

    /// A variable's value without space around it. One that is not UTF-8 is complained of.
    pub(super) fn text<'a>(&'a self, name: &str, complaints: &mut Vec<Complaint>) -> Option<&'a str> {
        readable(name, self.variables.get(name)?, complaints)
    }
}

fn readable<'a>(name: &str, value: &'a OsStr, complaints: &mut Vec<Complaint>) -> Option<&'a str> {
    if value.to_str().is_none() {
        let title = format!("the value of `{name}` is not UTF-8");
        complaints.push(Complaint::new(title, Place::name_of_variable(name), "set it to UTF-8 text"));
    }
    value.to_str().map(str::trim)
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        // No key has a name that is not ASCII; a name that is not UTF-8 is told like any unknown one.
        let text = |name: N| name.into().to_string_lossy().into_owned();
        Self { variables: variables.into_iter().map(|(name, value)| (text(name), value.into())).collect() }
    }
}

/// The variable that sets a key.
pub(super) fn variable(path: &str) -> String {
    // Names of profiles may have dashes, names of variables not.
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__").replace('-', "_"))
}

/// The keys that variables set.
pub(super) fn layer<'a>(
    environment: &'a Environment,
    known: &Known,
    complaints: &mut Vec<Complaint>,
) -> Layer<'a> {
    let paths: BTreeMap<String, &str> =
        known.keys.iter().map(|path| (variable(path), path.as_str())).collect();
    let mut layer =
        Layer { base: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")), ..Layer::default() };
    for (name, value) in environment.variables.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let Some(path) = paths.get(name).map(|path| (*path).to_owned()).or_else(|| of_row(name, &paths))
        else {
            complaints.push(stranger(name, known, &paths));
            continue;
        };
        let Some(text) = readable(name, value, complaints) else { continue };
        layer.tables.entry(parent(&path).to_owned()).or_insert_with(|| match path.starts_with(PUSH) {
            // Where the table stands is the place of what is missing in it, and its key may be a secret.
            true => Place::name_of_variable(name),
            false => Place::in_variable(name, text, &(0..text.len())),
        });
        layer.entries.insert(path, Entry::Variable { name, text });
    }
    layer
}

/// The key of a table of a list that may not be there yet, such as `TALAS_LIVE__PUSH__1__URL`.
fn of_row(name: &str, paths: &BTreeMap<String, &str>) -> Option<String> {
    let list = variable(PUSH);
    let (number, key) = name.strip_prefix(&list)?.strip_prefix("__")?.split_once("__")?;
    let is_number =
        number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    let first = paths.get(&format!("{list}__0__{key}")).filter(|_| is_number)?;
    Some(format!("{PUSH}.{number}.{}", last(first)))
}

/// The value is not shown: it may be the secret of a key that this version does not know.
fn stranger(name: &str, known: &Known, paths: &BTreeMap<String, &str>) -> Complaint {
    let place = Place::name_of_variable(name);
    let stem = name.strip_prefix(PREFIX).unwrap_or(name);
    let path = stem.to_ascii_lowercase().replace("__", ".");
    if is_not_built(&path) {
        return Complaint::new(
            format!("`{name}` sets `{path}`, which is not built yet in this version"),
            place,
            "unset it",
        );
    }
    if let Some(key) = known.keys.iter().find(|key| known.is_table(&path) && parent(key) == path) {
        let label = format!("set its keys, as in `{}`", variable(key));
        return Complaint::new(format!("`{name}` names a table, not a key"), place, label);
    }
    if known.is_list(&path) {
        let label = format!(
            "set the keys of its tables by their numbers, as in `{}`",
            variable(&format!("{PUSH}.0.url"))
        );
        return Complaint::new(format!("`{name}` names a list of tables, not a key"), place, label);
    }
    // The prefix is common to all: it would make any two names alike.
    let stems: Vec<&str> = paths.keys().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let title = format!("unknown variable `{name}`");
    if let Some(meant) = nearest(stem, &stems) {
        return Complaint::new(title, place, format!("did you mean `{PREFIX}{meant}`?"));
    }
    let complaint = Complaint::new(title, place, "names no key of the configuration");
    if is_of_kubernetes(name) {
        return complaint
            .help("Kubernetes sets it for a Service; `enableServiceLinks: false` in the pod stops that");
    }
    complaint.help("`talasd --print-config` lists the keys")
}

/// Names like `TALAS_SERVICE_HOST` and `TALAS_PORT_8080_TCP_ADDR`, set in every pod beside a Service
/// whose name is `talas` or begins so.
fn is_of_kubernetes(name: &str) -> bool {
    let service = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    service || name.ends_with("_PORT") || (name.contains("_PORT_") && name.contains("_TCP"))
}
