//! Validators of a stored file and the conditions that requests make of them (RFC 9110, section 13).
//!
//! Pure: what a file's validators are is asked of its metadata once; here they are compared.

use std::time::{Duration, SystemTime};

use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Method};

/// A file changed less than this ago may change again without its times or size telling: the clocks of
/// file systems tick at 10 ms on most and at 2 s on the coarsest (FAT). Its tag is weak so long.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    tag: String,
    is_strong: bool,
    modified: SystemTime,
    now: SystemTime,
}

/// A version of a file, as its metadata have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Number of the inode: a file that another took the place of has another one.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Time of the last write; settable by whoever may write.
    pub modified: SystemTime,
    /// Time of the last change of anything; the kernel's own.
    pub changed: SystemTime,
}

/// What becomes of a request by its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered; the `Range` header counts if `ranges`.
    Answer {
        /// Whether there is no `If-Range`, or one that holds.
        ranges: bool,
    },
    /// 304: the client has this version.
    NotModified,
    /// 412: the client means another version.
    Failed,
}

impl Validators {
    /// The validators of a version, as seen at a moment.
    pub fn new(version: &Version, now: SystemTime) -> Self {
        let ns =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let Version { inode, size, modified, changed } = *version;
        let newest = modified.max(changed);
        Self {
            tag: format!("\"{inode:x}-{size:x}-{:x}-{:x}\"", ns(modified), ns(changed)),
            is_strong: newest + SETTLED_AFTER <= now,
            // A time to come would make every later change look old.
            modified: whole_seconds(modified.min(now)),
            now,
        }
    }

    /// The value of `ETag`.
    pub fn etag(&self) -> String {
        if self.is_strong { self.tag.clone() } else { format!("W/{}", self.tag) }
    }

    /// The value of `Last-Modified`.
    pub fn last_modified(&self) -> String {
        httpdate::fmt_http_date(self.modified)
    }

    /// Goes through the conditions of a request in the RFC's order.
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if headers.contains_key(IF_MATCH) {
            if !self.matches_list(headers, IF_MATCH, |tag| self.is_strongly(tag)) {
                return Verdict::Failed;
            }
        } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(|since| self.modified > since) {
            return Verdict::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            if self.matches_list(headers, IF_NONE_MATCH, |tag| self.is_weakly(tag)) {
                return if is_read { Verdict::NotModified } else { Verdict::Failed };
            }
        } else if is_read && date(headers, IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since) {
            return Verdict::NotModified;
        }
        Verdict::Answer { ranges: *method == Method::GET && self.holds_if_range(headers) }
    }

    fn matches_list(&self, headers: &HeaderMap, name: HeaderName, same: impl Fn(&str) -> bool) -> bool {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            // A star is no tag and stands alone.
            list.trim() == "*" || Tags(list).any(&same)
        })
    }

    fn is_strongly(&self, tag: &str) -> bool {
        self.is_strong && tag == self.tag
    }

    fn is_weakly(&self, tag: &str) -> bool {
        tag.strip_prefix("W/").unwrap_or(tag) == self.tag
    }

    fn holds_if_range(&self, headers: &HeaderMap) -> bool {
        let mut conditions = headers.get_all(IF_RANGE).iter();
        let Some(condition) = conditions.next() else { return true };
        let Some(condition) = condition.to_str().ok().filter(|_| conditions.next().is_none()) else {
            return false;
        };
        if condition.contains('"') {
            return self.is_strongly(condition.trim());
        }
        // A second in which the file may still change says too little about its bytes.
        let is_strong = self.is_strong && self.modified + Duration::from_secs(1) <= self.now;
        is_strong && httpdate::parse_http_date(condition).is_ok_and(|date| date == self.modified)
    }
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// A date; one that cannot be read, or given twice, is no condition.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let date = httpdate::parse_http_date(values.next()?.to_str().ok()?).ok()?;
    values.next().is_none().then_some(date)
}

/// The entity tags of a list, quotes included. Ends at what is no tag.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches([' ', '\t', ',']);
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let inside = opaque.strip_prefix('"')?;
        // Tags have no escapes: the next quote ends one, and commas inside are part of it.
        let end = rest.len() - inside.len() + inside.find('"')? + 1;
        let (tag, rest) = rest.split_at(end);
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED_S: u64 = 1_700_000_000;

    fn at(seconds: u64, ns: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(seconds, ns)
    }

    fn version() -> Version {
        let modified = at(MODIFIED_S, 123);
        Version { inode: 7, size: 1000, modified, changed: modified }
    }

    fn settled() -> Validators {
        Validators::new(&version(), at(MODIFIED_S + 3600, 0))
    }

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("name"),
                value.parse().expect("value"),
            );
        }
        headers
    }

    const RANGES: Verdict = Verdict::Answer { ranges: true };
    const WHOLE: Verdict = Verdict::Answer { ranges: false };

    fn check(list: &[(&str, &str)], expected: Verdict) {
        let validators = settled();
        let tag = validators.etag();
        let list: Vec<(&str, String)> =
            list.iter().map(|(name, value)| (*name, value.replace("TAG", &tag))).collect();
        let list: Vec<(&str, &str)> = list.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(validators.judge(&Method::GET, &headers(&list)), expected, "{list:?}");
    }

    const SAME: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    #[test]
    fn every_condition_alone() {
        assert_eq!(settled().last_modified(), SAME);
        check(&[], RANGES);
        check(&[("if-match", "TAG")], RANGES);
        check(&[("if-match", "\"x\", TAG")], RANGES);
        check(&[("if-match", "\"a,b\" , ,TAG")], RANGES);
        check(&[("if-match", "*")], RANGES);
        check(&[("if-match", "W/TAG")], Verdict::Failed);
        check(&[("if-match", "\"x\"")], Verdict::Failed);
        check(&[("if-match", "nonsense")], Verdict::Failed);
        check(&[("if-match", "\"TAG")], Verdict::Failed);
        check(&[("if-none-match", "TAG")], Verdict::NotModified);
        check(&[("if-none-match", "W/TAG")], Verdict::NotModified);
        check(&[("if-none-match", "*")], Verdict::NotModified);
        check(&[("if-none-match", "\"x\", W/\"y\"")], RANGES);
        check(&[("if-modified-since", SAME)], Verdict::NotModified);
        check(&[("if-modified-since", AFTER)], Verdict::NotModified);
        check(&[("if-modified-since", BEFORE)], RANGES);
        check(&[("if-modified-since", "yesterday")], RANGES);
        check(&[("if-unmodified-since", SAME)], RANGES);
        check(&[("if-unmodified-since", AFTER)], RANGES);
        check(&[("if-unmodified-since", BEFORE)], Verdict::Failed);
        check(&[("if-unmodified-since", "yesterday")], RANGES);
        check(&[("if-range", "TAG")], RANGES);
        check(&[("if-range", "W/TAG")], WHOLE);
        check(&[("if-range", "\"x\"")], WHOLE);
        check(&[("if-range", SAME)], RANGES);
        check(&[("if-range", AFTER)], WHOLE);
        check(&[("if-range", BEFORE)], WHOLE);
        check(&[("if-range", "nonsense")], WHOLE);
    }

    #[test]
    fn the_old_forms_of_dates_are_read() {
        check(&[("if-range", "Tuesday, 14-Nov-23 22:13:20 GMT")], RANGES);
        check(&[("if-range", "Tue Nov 14 22:13:20 2023")], RANGES);
    }

    #[test]
    fn tags_go_before_dates_and_failing_before_the_rest() {
        check(&[("if-match", "TAG"), ("if-unmodified-since", BEFORE)], RANGES);
        check(&[("if-none-match", "\"x\""), ("if-modified-since", AFTER)], RANGES);
        check(&[("if-match", "\"x\""), ("if-none-match", "TAG")], Verdict::Failed);
        check(&[("if-match", "TAG"), ("if-none-match", "TAG")], Verdict::NotModified);
        check(&[("if-unmodified-since", BEFORE), ("if-none-match", "TAG")], Verdict::Failed);
        check(&[("if-match", "\"x\""), ("if-range", "TAG")], Verdict::Failed);
        check(&[("if-none-match", "TAG"), ("if-range", "TAG")], Verdict::NotModified);
    }

    #[test]
    fn ranges_are_for_get_alone() {
        assert_eq!(settled().judge(&Method::HEAD, &HeaderMap::new()), WHOLE);
    }

    #[test]
    fn a_file_that_just_changed_has_a_weak_tag_and_no_strong_date() {
        let fresh = Validators::new(&version(), at(MODIFIED_S + 1, 0));
        assert!(fresh.etag().starts_with("W/\""));
        assert_eq!(
            fresh.etag().strip_prefix("W/"),
            Some(settled().etag().as_str()),
            "the same, once settled"
        );
        let etag = fresh.etag();
        let judge = |name, value: &str| fresh.judge(&Method::GET, &headers(&[(name, value)]));
        assert_eq!(judge("if-none-match", &etag), Verdict::NotModified);
        assert_eq!(judge("if-match", &etag), Verdict::Failed);
        assert_eq!(judge("if-range", &etag), WHOLE);
        assert_eq!(judge("if-range", &etag[2..]), WHOLE);
        assert_eq!(judge("if-range", SAME), WHOLE);
    }

    #[test]
    fn every_part_of_a_version_changes_the_tag() {
        let base = version();
        let other = |version| Validators::new(&version, at(MODIFIED_S + 3600, 0)).etag();
        let tags = [
            other(base),
            other(Version { inode: 8, ..base }),
            other(Version { size: 1001, ..base }),
            other(Version { modified: at(MODIFIED_S, 124), ..base }),
            other(Version { changed: at(MODIFIED_S, 124), ..base }),
        ];
        let distinct: std::collections::BTreeSet<&String> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
    }

    #[test]
    fn a_file_from_the_future_was_modified_now() {
        let now = at(MODIFIED_S - 10, 500);
        let validators = Validators::new(&version(), now);
        assert_eq!(validators.last_modified(), "Tue, 14 Nov 2023 22:13:10 GMT");
        assert!(validators.etag().starts_with("W/"));
    }
}
