//! What is wrong, where, and what would be right; and how a run's complaints are shown.
//!
//! Every reader of this floor collects [`Complaint`]s instead of stopping at the first. They are shown
//! together, in the order of the file and then of the variables, each with its line and a caret.
//! Nothing here decides what is wrong.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::document::{Document, without_users};

/// More than this many help nobody, and a file of garbage would take long to show.
const MOST_SHOWN: usize = 40;

/// Where something of the configuration stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Bytes of the configuration file.
    File {
        /// First byte.
        start: usize,
        /// One past the last.
        end: usize,
    },
    /// Bytes of an environment variable as it is shown.
    Variable {
        /// Its name.
        name: String,
        /// `NAME=value`, or the name alone where the value may be a secret.
        shown: String,
        /// First byte, counted in `shown`.
        start: usize,
        /// One past the last.
        end: usize,
    },
}

impl Place {
    /// A place in the file.
    pub(super) fn file(span: Range<usize>) -> Self {
        Self::File { start: span.start, end: span.end }
    }

    /// A place in a variable's value.
    pub(super) fn in_variable(name: &str, value: &str, span: &Range<usize>) -> Self {
        let before = name.len() + 1;
        Self::Variable {
            name: name.to_owned(),
            shown: format!("{name}={}", without_users(value)),
            start: before + span.start,
            end: before + span.end,
        }
    }

    /// A variable whose value is nobody's business.
    pub(super) fn name_of_variable(name: &str) -> Self {
        Self::Variable { name: name.to_owned(), shown: name.to_owned(), start: 0, end: name.len() }
    }

    fn span(&self) -> Range<usize> {
        let (Self::File { start, end } | Self::Variable { start, end, .. }) = self;
        *start..*end
    }

    /// Whether one excerpt can show both.
    fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { .. }, Self::File { .. }) => true,
            (Self::Variable { shown, .. }, Self::Variable { shown: other, .. }) => shown == other,
            _ => false,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// What is wrong, in a phrase.
    pub(super) title: String,
    /// Where.
    pub(super) place: Place,
    /// What is said beside the caret.
    pub(super) label: String,
    /// Other places that have to do with it.
    pub(super) also: Vec<(Place, String)>,
    /// How to mend it, where the label does not say it all.
    pub(super) help: Option<String>,
}

impl Complaint {
    /// A complaint that needs no further words.
    pub(super) fn new(title: impl Into<String>, place: Place, label: impl Into<String>) -> Self {
        Self { title: title.into(), place, label: label.into(), also: Vec::new(), help: None }
    }

    /// Adds a place that has to do with it.
    pub(super) fn and(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }

    /// Adds how to mend it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn group<'a>(&'a self, file: Option<&'a Document>) -> Group<'a> {
        let (beside, apart): (Vec<_>, Vec<_>) =
            self.also.iter().partition(|(place, _)| place.is_beside(&self.place));
        let context = |(place, label): &'a (Place, String)| note(AnnotationKind::Context, place, label, file);
        let primary = note(AnnotationKind::Primary, &self.place, &self.label, file);
        let snippet = excerpt(&self.place, file).annotation(primary);
        let mut group = Level::ERROR
            .primary_title(&self.title)
            .element(snippet.annotations(beside.into_iter().map(context)));
        for also in apart {
            group = match &also.0 {
                Place::File { .. } => group.element(excerpt(&also.0, file).annotation(context(also))),
                // A second excerpt begins with its path, and a variable has none.
                Place::Variable { shown, .. } => {
                    group.element(Level::NOTE.message(format!("{shown}: {}", also.1)))
                }
            };
        }
        group.elements(self.help.as_deref().map(|help| Element::from(Level::HELP.message(help))))
    }
}

fn excerpt<'a>(place: &'a Place, file: Option<&'a Document>) -> Snippet<'a, Annotation<'a>> {
    match place {
        Place::File { .. } => {
            let (path, text) = file.map_or(("", ""), |file| (file.name(), file.shown()));
            Snippet::source(text).path(path)
        }
        Place::Variable { shown, .. } => Snippet::source(shown.as_str()).line_numbering(false),
    }
}

fn note<'a>(
    kind: AnnotationKind,
    place: &'a Place,
    label: &'a str,
    file: Option<&'a Document>,
) -> Annotation<'a> {
    let text = match place {
        Place::File { .. } => file.map_or("", Document::shown),
        Place::Variable { shown, .. } => shown,
    };
    let note = kind.span(first_line(text, place.span()));
    if label.is_empty() { note } else { note.label(label) }
}

/// The part of a span on its first line: a caret under ten lines points at none of them. An empty span
/// points at the character that it stands before.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let from = text.get(span.start..).unwrap_or_default();
    let line = from.find(['\r', '\n']).unwrap_or(from.len());
    let next = from.chars().next().map_or(0, char::len_utf8);
    let length = if span.is_empty() { next } else { span.len() };
    span.start..span.start + length.min(line)
}

/// Shows all complaints, the file's first, and their number.
pub(super) fn render(mut complaints: Vec<Complaint>, file: Option<&Document>) -> String {
    complaints.sort_by(|one, other| one.place.cmp(&other.place));
    let renderer = Renderer::plain();
    let mut text = String::new();
    for complaint in complaints.iter().take(MOST_SHOWN) {
        text.push_str(&renderer.render(&[complaint.group(file)]));
        text.push_str("\n\n");
    }
    text.push_str(&sum(&complaints, file));
    text
}

/// `2 errors in /etc/talas/talasd.toml, 1 in the environment`.
fn sum(complaints: &[Complaint], file: Option<&Document>) -> String {
    let in_file = complaints.iter().filter(|complaint| matches!(complaint.place, Place::File { .. })).count();
    let count = |count: usize| format!("{count} error{}", if count == 1 { "" } else { "s" });
    let path = file.map_or("", Document::name);
    let mut text = match (in_file, complaints.len() - in_file) {
        (0, outside) => format!("{} in the environment", count(outside)),
        (inside, 0) => format!("{} in {path}", count(inside)),
        (inside, outside) => format!("{} in {path}, {outside} in the environment", count(inside)),
    };
    if complaints.len() > MOST_SHOWN {
        text.push_str(&format!("; the first {MOST_SHOWN} are shown"));
    }
    text
}
