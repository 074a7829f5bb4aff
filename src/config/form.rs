//! How a value is written in TOML: read, written and described by one object for each kind of value.
//!
//! Numbers, switches, words and lists are here; what is inside a string is judged in `text`.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

/// A value that was read, or everything that is wrong with it.
pub(super) type Read<T> = Result<T, Vec<Wrong>>;

/// How values of a type are written.
pub(super) trait Form<T> {
    /// What is right, as it stands after "expected".
    fn expects(&self) -> String;

    /// Reads a value. Relative paths start at `base`.
    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<T>;

    /// Writes a value so that it reads back as the same.
    fn write(&self, value: &T) -> String;

    /// Whether an environment variable holds a list of it, by commas.
    fn is_list(&self) -> bool {
        false
    }

    /// Whether the key may be left out.
    fn has_default(&self) -> bool {
        true
    }

    /// Whether values are nobody's business. Then [`Form::write`] shows nothing of one that is set.
    fn is_secret(&self) -> bool {
        false
    }

    /// What differs where values do.
    fn compared(&self, value: &T) -> String {
        self.write(value)
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Its bytes: of the whole value, or of one entry of a list.
    pub(super) span: Range<usize>,
    /// Another type of TOML than the key takes.
    pub(super) is_type: bool,
    /// What would be right.
    pub(super) label: String,
    /// How to mend it.
    pub(super) help: Option<String>,
}

impl Wrong {
    /// A value of the right type that will not do.
    pub(super) fn value(value: &Spanned<DeValue<'_>>, label: impl Into<String>) -> Vec<Self> {
        vec![Self { span: value.span(), is_type: false, label: label.into(), help: None }]
    }

    /// A value of another type.
    pub(super) fn kind(value: &Spanned<DeValue<'_>>, expects: impl Display) -> Vec<Self> {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a switch",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let label = format!("expected {expects}, found {found}");
        vec![Self { span: value.span(), is_type: true, label, help: None }]
    }
}

fn expected(what: impl Display) -> String {
    format!("expected {what}")
}

/// The help for a number or switch in quotes, where that is all that is wrong.
fn unquote<T>(
    form: &impl Form<T>,
    value: &Spanned<DeValue<'_>>,
    wrongs: Vec<Wrong>,
    base: &Path,
) -> Vec<Wrong> {
    let bare = value.get_ref().as_str().filter(|text| {
        DeValue::parse(text).is_ok_and(|inner| !inner.get_ref().is_str() && form.read(&inner, base).is_ok())
    });
    let help = bare.map(|bare| format!("without quotes: {bare}"));
    wrongs.into_iter().map(|wrong| Wrong { help: help.clone(), ..wrong }).collect()
}

/// A whole number in a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    least: u32,
    most: u32,
    step: u32,
}

/// A whole number from `least` to `most`.
pub(super) const fn whole(least: u32, most: u32) -> Whole {
    Whole { least, most, step: 1 }
}

impl Whole {
    /// Only multiples of `step`.
    pub(super) const fn multiple_of(self, step: u32) -> Self {
        Self { step, ..self }
    }

    fn number(&self, value: &Spanned<DeValue<'_>>) -> Read<u32> {
        let Some(integer) = value.get_ref().as_integer() else {
            return Err(Wrong::kind(value, self.describe()));
        };
        i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (self.least..=self.most).contains(number) && number % self.step == 0)
            .ok_or_else(|| Wrong::value(value, expected(self.describe())))
    }

    fn describe(&self) -> String {
        let Self { least, most, step } = self;
        if *step == 1 {
            format!("a whole number from {least} to {most}")
        } else {
            format!("a multiple of {step} from {least} to {most}")
        }
    }
}

impl<T: TryFrom<u32> + Copy + Display> Form<T> for Whole {
    fn expects(&self) -> String {
        self.describe()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<T> {
        let number = self.number(value).map_err(|wrongs| unquote::<T>(self, value, wrongs, base))?;
        T::try_from(number).map_err(|_| Wrong::value(value, expected(self.describe())))
    }

    fn write(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A time in whole seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) Whole);

impl Form<Duration> for Seconds {
    fn expects(&self) -> String {
        self.0.describe()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<Duration> {
        let seconds: u32 = self.0.read(value, base)?;
        Ok(Duration::from_secs(seconds.into()))
    }

    fn write(&self, value: &Duration) -> String {
        value.as_secs().to_string()
    }
}

/// A time in whole milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Millis(pub(super) Whole);

impl Form<Duration> for Millis {
    fn expects(&self) -> String {
        self.0.describe()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<Duration> {
        let millis: u32 = self.0.read(value, base)?;
        Ok(Duration::from_millis(millis.into()))
    }

    fn write(&self, value: &Duration) -> String {
        value.as_millis().to_string()
    }
}

/// A number, with or without a fraction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Real {
    /// What is right, as it stands after "expected".
    pub(super) expects: &'static str,
    /// Whether a number is right; it is never asked about a NaN.
    pub(super) judge: fn(f64) -> bool,
}

/// Whether a value is a number, with or without a fraction.
pub(super) fn is_number(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Integer(_) | DeValue::Float(_))
}

/// A number, with or without a fraction; `None` for a NaN, a whole number beyond 32 bits, or none at all.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(integer) => {
            i32::from_str_radix(integer.as_str(), integer.radix()).map(f64::from).ok()
        }
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    };
    number.filter(|number| !number.is_nan())
}

impl Form<f64> for Real {
    fn expects(&self) -> String {
        self.expects.to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<f64> {
        if !is_number(value.get_ref()) {
            return Err(unquote(self, value, Wrong::kind(value, self.expects), base));
        }
        number(value.get_ref())
            .filter(|number| (self.judge)(*number))
            .ok_or_else(|| Wrong::value(value, expected(self.expects)))
    }

    fn write(&self, value: &f64) -> String {
        toml::Value::Float(*value).to_string()
    }
}

/// A switch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch;

impl Form<bool> for Switch {
    fn expects(&self) -> String {
        "either true or false".to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<bool> {
        value
            .get_ref()
            .as_bool()
            .ok_or_else(|| unquote(self, value, Wrong::kind(value, Self.expects()), base))
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<T: 'static> {
    /// Every word and what it means.
    pub(super) words: &'static [(&'static str, T)],
    /// Words that a later version will know, and why this one does not.
    pub(super) later: &'static [(&'static str, &'static str)],
}

impl<T: Copy + PartialEq> Form<T> for Word<T> {
    fn expects(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.as_slice() {
            [only] => format!("the word {only}"),
            several => format!("one of {}", several.join(", ")),
        }
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, _: &Path) -> Read<T> {
        let Some(text) = value.get_ref().as_str() else {
            return Err(Wrong::kind(value, self.expects()));
        };
        if let Some((_, meaning)) = self.words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let later = self.later.iter().find(|(word, _)| *word == text);
        Err(Wrong::value(value, later.map_or_else(|| expected(self.expects()), |(_, why)| (*why).to_owned())))
    }

    fn write(&self, value: &T) -> String {
        let word = self.words.iter().find(|(_, meaning)| meaning == value).map_or("", |(word, _)| word);
        format!("\"{word}\"")
    }
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<F> {
    /// How an entry is written.
    pub(super) each: F,
    /// What the list holds, as it stands after "a list of".
    pub(super) of: &'static str,
    /// Whether there must be an entry.
    pub(super) needs_one: bool,
}

impl<T, F: Form<T>> Form<Vec<T>> for List<F> {
    fn expects(&self) -> String {
        format!("a list of {}", self.of)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<Vec<T>> {
        let Some(array) = value.get_ref().as_array() else {
            let bare = self.each.read(value, base).is_ok();
            let help = bare.then(|| "in brackets, even for one: [ … ]".to_owned());
            let wrongs = Wrong::kind(value, Form::<Vec<T>>::expects(self));
            return Err(wrongs.into_iter().map(|wrong| Wrong { help: help.clone(), ..wrong }).collect());
        };
        if array.is_empty() && self.needs_one {
            return Err(Wrong::value(value, "expected one entry or more"));
        }
        let mut entries = Vec::new();
        let mut wrongs = Vec::new();
        for entry in array.iter() {
            match self.each.read(entry, base) {
                Ok(entry) => entries.push(entry),
                Err(wrong) => wrongs.extend(wrong),
            }
        }
        if wrongs.is_empty() { Ok(entries) } else { Err(wrongs) }
    }

    fn write(&self, value: &Vec<T>) -> String {
        let entries: Vec<String> = value.iter().map(|entry| self.each.write(entry)).collect();
        format!("[{}]", entries.join(", "))
    }

    fn is_list(&self) -> bool {
        true
    }
}
