//! What somebody may have meant by a name that nobody knows.

/// How alike two names must be, 1 being equal, for one to be offered for the other. Found by trying:
/// `listn` for `listen` has 0.83, `period` for `period_ms` 0.67, `rate` for `state` 0.6 and should
/// not be offered.
const ALIKE: f64 = 0.65;

/// The name most like a wrong one, if any is like it.
pub(super) fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    let wrong = plain(wrong);
    names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wrong, &plain(name)), *name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Case, dashes and doubled underscores are the likeliest slips of all.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace('-', "_");
    name.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// `a, b and c`.
pub(super) fn sentence(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_what_is_near_and_nothing_else() {
        let names = ["listen", "hosts", "sse_heartbeat_s", "period_ms", "buffer_ms", "state"];
        assert_eq!(nearest("listn", &names), Some("listen"));
        assert_eq!(nearest("Listen", &names), Some("listen"));
        assert_eq!(nearest("period", &names), Some("period_ms"));
        assert_eq!(nearest("sse-heartbeat-s", &names), Some("sse_heartbeat_s"));
        assert_eq!(nearest("rate", &names), None);
        assert_eq!(nearest("x", &names), None);
        assert_eq!(nearest("", &names), None);
    }

    #[test]
    fn a_sentence_of_names() {
        assert_eq!(sentence(&["a", "b", "c"]), "a, b and c");
        assert_eq!(sentence(&["a"]), "a");
        assert_eq!(sentence(&[]), "");
    }
}
