//! OpenMetrics text, read by the letter: whatever the format forbids is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that was exposed.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Kind of each family.
    pub kinds: BTreeMap<String, String>,
    /// Value of each series, by its name with its labels.
    pub series: BTreeMap<String, f64>,
}

/// The family whose lines are being read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: Option<String>,
    has_help: bool,
    has_samples: bool,
}

impl Exposition {
    pub fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("ends with # EOF and a line feed");
        assert!(!body.contains("# EOF") && !body.contains('\r'), "one end, and line feeds only");
        let mut read = Self::default();
        let mut family = Family::default();
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(about) => read.describe(&mut family, about),
                None => read.sample(&mut family, line),
            }
        }
        read.finish(&family);
        read.check_histograms();
        read
    }

    /// The value of a series.
    pub fn get(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.series))
    }

    /// The same as a count.
    pub fn count(&self, series: &str) -> u64 {
        let value = self.get(series);
        assert!(value >= 0.0 && value.fract() == 0.0, "{series} is no count: {value}");
        value as u64
    }

    /// Names of all series, with their labels.
    pub fn names(&self) -> BTreeSet<String> {
        self.series.keys().cloned().collect()
    }

    fn describe(&mut self, family: &mut Family, about: &str) {
        let mut words = about.splitn(3, ' ');
        let (what, name, rest) = (words.next(), words.next().unwrap(), words.next().unwrap());
        assert!(is_name(name), "{name:?} is no name");
        if family.name != name {
            self.finish(family);
            assert!(!self.kinds.contains_key(name), "{name} comes twice");
            *family = Family { name: name.to_owned(), ..Family::default() };
        }
        assert!(!family.has_samples, "{name} is described before its samples");
        match what {
            Some("HELP") => {
                assert!(!std::mem::replace(&mut family.has_help, true), "one HELP for {name}");
                assert!(!rest.trim().is_empty(), "the HELP of {name} helps");
            }
            Some("TYPE") => {
                assert!(["counter", "gauge", "histogram", "info"].contains(&rest), "{rest:?} is no type");
                assert!(family.kind.replace(rest.to_owned()).is_none(), "one TYPE for {name}");
            }
            Some("UNIT") => assert!(name.ends_with(&format!("_{rest}")), "{name} ends in its unit {rest}"),
            _ => panic!("unknown line # {about}"),
        }
    }

    fn finish(&mut self, family: &Family) {
        if family.name.is_empty() {
            return;
        }
        assert!(family.has_help, "{} has a HELP", family.name);
        let kind = family.kind.clone().unwrap_or_else(|| panic!("{} has a TYPE", family.name));
        self.kinds.insert(family.name.clone(), kind);
    }

    fn sample(&mut self, family: &mut Family, line: &str) {
        family.has_samples = true;
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(&family.name).unwrap_or_else(|| panic!("{name} in {family:?}"));
        let allowed: &[&str] = match family.kind.as_deref() {
            Some("counter") => &["_total"],
            Some("gauge") => &[""],
            Some("histogram") => &["_bucket", "_sum", "_count"],
            Some("info") => &["_info"],
            other => panic!("{name} comes before its TYPE: {other:?}"),
        };
        assert!(allowed.contains(&suffix), "{name} in {family:?}");
        check_labels(&series[name.len()..]);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line:?}"));
        assert!(value.is_finite(), "{line}");
        match family.kind.as_deref() {
            Some("info") => assert_eq!(value, 1.0, "{line}"),
            Some("gauge") => {}
            _ => assert!(value >= 0.0, "{line}"),
        }
        assert!(self.series.insert(series.to_owned(), value).is_none(), "{series} comes twice");
    }

    fn check_histograms(&self) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let prefix = format!("{name}_bucket{{le=\"");
            let mut buckets: Vec<(f64, f64)> = Vec::new();
            for (series, value) in self.series.iter().filter(|(series, _)| series.starts_with(&prefix)) {
                let bound = series[prefix.len()..].strip_suffix("\"}").unwrap();
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                buckets.push((bound, *value));
            }
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(
                buckets.len() > 2 && buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1)
            );
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, self.get(&format!("{name}_count")))));
            // Each sample is above the bound before its bucket: so must their sum be.
            let least = |pair: &[(f64, f64)]| pair[0].0 * (pair[1].1 - pair[0].1);
            let least: f64 = buckets.windows(2).map(least).sum();
            assert!(self.get(&format!("{name}_sum")) >= least * 0.999, "{name}: {buckets:?}");
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn check_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inside = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("braces");
    let mut names = BTreeSet::new();
    for label in inside.split(',') {
        let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {labels}"));
        assert!(is_name(name) && names.insert(name), "{labels}");
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("quotes");
        assert!(!value.is_empty() && !value.contains(['"', '\\']), "{labels}");
    }
}
