//! Reading: the layers in turn, from the file up, into one configuration.
//!
//! Every layer is read whole, also where a higher one will win: what is wrong in the file is wrong,
//! even while a variable hides it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use crate::capture::settings::{AlsaSettings, FileSettings, SourceSettings, ToneSettings};
use crate::error::{Error, Kind, Result};
use crate::station::live::Profiles;

use super::complaint::{Complaint, Place, render};
use super::document::Document;
use super::environment::{self, Environment};
use super::form::{Form, Wrong};
use super::keys::{Keys, describe};
use super::layer::{self, Entry, Layer};
use super::listing::{Known, values};
use super::live::PROFILE;
use super::syntax::{Parsed, Readable};
use super::{Config, alias, push, rules};

/// Longest name of a profile.
const LONGEST_PROFILE: usize = 32;

/// Reads a file, if there is one, and the environment.
///
/// # Errors
/// [`Kind::Config`], whose message holds every complaint.
pub(super) fn read(document: Option<&Document>, environment: &Environment) -> Result<(Config, Vec<String>)> {
    let known = Known::new();
    let readable = document.map(Readable::new);
    let parsed = document.zip(readable.as_ref()).map(|(document, readable)| Parsed::new(document, readable));
    let mut reading = Reading::default();
    let file = document.zip(parsed.as_ref()).map_or_else(Layer::default, |(document, parsed)| {
        layer::of_file(parsed.root.get_ref(), document.base(), &known, &mut reading.complaints)
    });
    reading.take(&file);
    let aliases = alias::layer(environment, &reading.config.http.listen, &mut reading.complaints);
    let by_alias = reading.take(&aliases);
    let known = Known::of(&reading.config);
    let variables = environment::layer(environment, &known, &mut reading.complaints);
    let by_variable = reading.take(&variables);
    reading.disagreements(&aliases, &variables, &by_alias, &by_variable);
    let Reading { config, mut broken, mut complaints } = reading;
    if let Some((document, parsed)) = document.zip(parsed.as_ref()) {
        let misread = file.entries.iter().filter(|(_, entry)| !parsed.trusts(&entry.whole(), document));
        broken.extend(misread.map(|(path, _)| path.clone()));
        complaints.retain(|complaint| parsed.trusts(&complaint.place, document));
    }
    let syntax = parsed.map(|parsed| parsed.complaints).unwrap_or_default();
    let origins = Origins { layers: [variables, aliases, file], broken, is_whole: syntax.is_empty() };
    rules::judge(&config, &origins, &mut complaints);
    complaints.extend(syntax);
    if complaints.is_empty() {
        let warnings = rules::warnings(&config, &origins, document);
        return Ok((config, warnings));
    }
    Err(Error::new(Kind::Config, render(complaints, document)))
}

/// Where the values of a configuration come from.
pub(super) struct Origins<'a> {
    /// The topmost first.
    layers: [Layer<'a>; 3],
    broken: BTreeSet<String>,
    /// Whether the file was parsed without an error: else keys may be in it that are not here.
    is_whole: bool,
}

impl<'a> Origins<'a> {
    /// What sets a key, if it is not left to its default.
    pub(super) fn of(&self, path: &str) -> Option<&Entry<'a>> {
        self.layers.iter().find_map(|layer| layer.entries.get(path))
    }

    /// Where a table is given.
    pub(super) fn of_table(&self, path: &str) -> Option<&Place> {
        self.layers.iter().find_map(|layer| layer.tables.get(path))
    }

    /// Whether a key was set to what could not be read, so that its value means nothing.
    pub(super) fn is_broken(&self, path: &str) -> bool {
        self.broken.contains(path)
    }

    /// Whether a key that is not set is certainly at its default.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// The configuration so far.
#[derive(Default)]
struct Reading {
    config: Config,
    /// Keys whose value could not be read.
    broken: BTreeSet<String>,
    complaints: Vec<Complaint>,
}

impl Reading {
    /// Reads a layer over what is there, and says what the keys are then.
    fn take(&mut self, layer: &Layer<'_>) -> BTreeMap<String, String> {
        choose_source(layer, &mut self.config.capture.source, &mut self.complaints);
        add_profiles(layer, &mut self.config.live.profiles, &mut self.complaints);
        push::add_rows(layer, &mut self.config.push, &mut self.complaints);
        let mut reader = Reader {
            layer,
            table: String::new(),
            chosen: true,
            broken: &mut self.broken,
            complaints: &mut self.complaints,
        };
        describe(&mut reader, &mut self.config);
        values(&self.config)
    }

    /// An alias and a variable for one key: either would do, and they differ.
    fn disagreements(
        &mut self,
        aliases: &Layer<'_>,
        variables: &Layer<'_>,
        by_alias: &BTreeMap<String, String>,
        by_variable: &BTreeMap<String, String>,
    ) {
        for (path, entry) in &aliases.entries {
            let Some(variable) = variables.entries.get(path) else { continue };
            if self.broken.contains(path) || by_alias.get(path) == by_variable.get(path) {
                continue;
            }
            let (Entry::Variable { name, text } | Entry::Alias { name, text, .. }) = entry else { continue };
            let title = format!("two variables differ about `{path}`");
            let label = format!("another value than {name}={text}");
            self.complaints.push(Complaint::new(title, variable.whole(), label).help("unset one of them"));
        }
    }
}

struct Reader<'r, 'a> {
    layer: &'r Layer<'a>,
    table: String,
    chosen: bool,
    broken: &'r mut BTreeSet<String>,
    complaints: &'r mut Vec<Complaint>,
}

impl Keys for Reader<'_, '_> {
    fn table(&mut self, name: &str, chosen: bool, _: &'static str) {
        (self.table, self.chosen) = (name.to_owned(), chosen);
    }

    fn key<T>(&mut self, name: &'static str, value: &mut T, form: &impl Form<T>, _: &'static str) {
        let path = format!("{}.{name}", self.table);
        let Some(entry) = self.layer.entries.get(&path) else { return };
        match self.read(entry, form) {
            Ok(read) => *value = read,
            Err(wrongs) => {
                for wrong in wrongs {
                    let title = format!("wrong value for `{path}`");
                    let place =
                        if form.is_secret() { self.place_of_secret(entry) } else { entry.place(wrong.span) };
                    let complaint = Complaint::new(title, place, wrong.label);
                    self.complaints.push(Complaint { help: wrong.help, ..complaint });
                }
                self.broken.insert(path);
            }
        }
    }
}

impl Reader<'_, '_> {
    /// Where something is said about a value that must not be shown.
    fn place_of_secret(&self, entry: &Entry<'_>) -> Place {
        match entry {
            Entry::File(value) => {
                let table = self.layer.tables.get(&self.table);
                table.cloned().unwrap_or_else(|| Place::file(value.span()))
            }
            Entry::Variable { name, .. } | Entry::Alias { name, .. } => Place::name_of_variable(name),
        }
    }

    /// The first reading that will do; else what is wrong with the likeliest.
    fn read<T>(&self, entry: &Entry<'_>, form: &impl Form<T>) -> std::result::Result<T, Vec<Wrong>> {
        let mut failed: Option<Vec<Wrong>> = None;
        for reading in entry.readings(form.is_list()) {
            match form.read(&reading, &self.layer.base) {
                Ok(value) => return Ok(value),
                // A number out of range is a number: that it is no string either is not the point.
                Err(wrongs)
                    if failed.as_ref().is_none_or(|first| first.iter().all(|wrong| wrong.is_type)) =>
                {
                    failed = Some(wrongs);
                }
                Err(_) => {}
            }
        }
        Err(failed.unwrap_or_default())
    }
}

/// A table of a profile that is not built in is one more.
fn add_profiles(layer: &Layer<'_>, profiles: &mut Profiles, complaints: &mut Vec<Complaint>) {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    for (table, place) in &layer.tables {
        let Some(name) = table.strip_prefix(PROFILE) else { continue };
        if name.len() <= LONGEST_PROFILE && name.bytes().all(is_letter) {
            profiles.entry(name.to_owned()).or_default();
        } else {
            let label = format!(
                "expected at most {LONGEST_PROFILE} small letters, digits, dashes and underscores: it stands in addresses"
            );
            complaints.push(Complaint::new(
                format!("`{name}` is no name for a profile"),
                place.clone(),
                label,
            ));
        }
    }
}

/// A layer with a source's table takes that source; the table of another one below counts no more.
fn choose_source(layer: &Layer<'_>, source: &mut SourceSettings, complaints: &mut Vec<Complaint>) {
    let kinds = [
        ("capture.alsa", SourceSettings::Alsa(AlsaSettings::default())),
        ("capture.file", SourceSettings::File(FileSettings::default())),
        ("capture.tone", SourceSettings::Tone(ToneSettings::default())),
    ];
    let given = kinds.into_iter().filter_map(|(table, kind)| Some((table, layer.tables.get(table)?, kind)));
    let mut given: Vec<_> = given.collect();
    given.sort_by_key(|(_, place, _)| *place);
    if let [(first_table, first, _), (table, place, _), ..] = given.as_slice() {
        complaints.push(
            Complaint::new("two sources of sound", (*place).clone(), format!("[{table}] is another"))
                .and((*first).clone(), format!("[{first_table}] is one"))
                .help("exactly one of [capture.alsa], [capture.file] and [capture.tone] may be given"),
        );
    }
    if let Some((_, _, kind)) = given.into_iter().next()
        && discriminant(&kind) != discriminant(source)
    {
        *source = kind;
    }
}
