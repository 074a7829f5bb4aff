//! The one table from every route of HTTP and every method of the control socket to the permission it
//! needs. What is not in it is refused; tests walk all routes and all methods past it.

use std::sync::LazyLock;

use talas_wire::method;

use super::permission::Permission::{self, Admin, DebugAccess, Listen, Metrics, Stats, StreamControl};

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A route of HTTP: its method, and its pattern as the router has it. `HEAD` is like `GET`.
    Route(&'static str, &'static str),
    /// A method of the control socket.
    Method(&'static str),
}

/// How a route is used, beyond what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A request and a short answer.
    Ask,
    /// Something that changes the daemon's state.
    Change,
    /// Sound or events that go on. Browsers open it where they can set no headers, so a token may come
    /// in the query; and a page of another origin may not hold it open.
    Hold,
    /// The same, of the one track that `{id}` names.
    Track,
}

/// A row: what may be asked for, and what somebody needs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub subject: Subject,
    /// The permission that is needed; `None` is for everybody.
    pub needs: Option<Permission>,
    /// How it is used.
    pub usage: Use,
}

impl Rule {
    /// Whether a token may come in the query.
    pub fn takes_token_in_query(&self) -> bool {
        matches!(self.usage, Use::Hold | Use::Track)
    }

    /// The track that a path of this route names, as it came over the wire.
    pub fn track<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Subject::Route(_, pattern) = self.subject else { return None };
        let (before, _) = pattern.split_once('{').filter(|_| self.usage == Use::Track)?;
        path.strip_prefix(before)?.split('/').next()
    }

    /// Whether a page must be of an allowed origin: it would change something, or hold it open.
    pub fn checks_origin(&self) -> bool {
        self.usage != Use::Ask
    }
}

const fn get(pattern: &'static str, needs: Permission, usage: Use) -> Rule {
    Rule { subject: Subject::Route("GET", pattern), needs: Some(needs), usage }
}

const fn post(pattern: &'static str, needs: Permission) -> Rule {
    Rule { subject: Subject::Route("POST", pattern), needs: Some(needs), usage: Use::Change }
}

const fn open(pattern: &'static str) -> Rule {
    Rule { subject: Subject::Route("GET", pattern), needs: None, usage: Use::Ask }
}

const fn call(name: &'static str, needs: Permission) -> Rule {
    Rule { subject: Subject::Method(name), needs: Some(needs), usage: Use::Ask }
}

const fn change(name: &'static str, needs: Permission) -> Rule {
    Rule { subject: Subject::Method(name), needs: Some(needs), usage: Use::Change }
}

/// All rows.
pub const TABLE: &[Rule] = &[
    get("/api/audio/stream", Listen, Use::Hold),
    get("/api/audio/live", Listen, Use::Hold),
    get("/live.mp3", Listen, Use::Hold),
    get("/live.aac", Listen, Use::Hold),
    get("/live.m4a", Listen, Use::Hold),
    get("/live.opus", Listen, Use::Hold),
    get("/live.ogg", Listen, Use::Hold),
    get("/live.oga", Listen, Use::Hold),
    get("/live.flac", Listen, Use::Hold),
    get("/live.wav", Listen, Use::Hold),
    get("/live/{file}", Listen, Use::Hold),
    get("/live.m3u", Listen, Use::Hold),
    get("/live.pls", Listen, Use::Hold),
    get("/api/audio/title", Listen, Use::Ask),
    post("/api/audio/title", StreamControl),
    get("/api/audio/stats", Stats, Use::Ask),
    get("/api/audio/quality", Stats, Use::Ask),
    get("/api/audio/performance", Stats, Use::Ask),
    post("/api/audio/control", StreamControl),
    get("/api/audio/debug/connections", DebugAccess, Use::Ask),
    get("/tracks", Listen, Use::Ask),
    get("/stream/{id}", Listen, Use::Track),
    get("/metrics", Metrics, Use::Ask),
    open("/healthz"),
    open("/readyz"),
    // The page: it asks for a token itself.
    open("/"),
    open("/style.css"),
    open("/icon.svg"),
    open("/page.js"),
    open("/waveform.js"),
    open("/levels.js"),
    open("/talas-client.js"),
    open("/event-stream.js"),
    open("/live-socket.js"),
    open("/listening.js"),
    open("/player.js"),
    open("/player-worklet.js"),
    open("/jitter-buffer.js"),
    // The control socket.
    call(method::STATUS, Stats),
    call(method::VERSION, Stats),
    change(method::CAPTURE_PAUSE, StreamControl),
    change(method::CAPTURE_RESUME, StreamControl),
    call(method::QUALITY_GET, Stats),
    change(method::QUALITY_SET, StreamControl),
    call(method::TITLE_GET, Stats),
    change(method::TITLE_SET, StreamControl),
    call(method::PROCESS_GET, Stats),
    change(method::PROCESS_SET, StreamControl),
    change(method::PROCESS_BYPASS, StreamControl),
    call(method::STATS, Stats),
    call(method::CONNECTIONS, Stats),
    change(method::CONNECTIONS_KICK, StreamControl),
    call(method::METERS, Stats),
    call(method::DEVICES, Stats),
    change(method::RELOAD, Admin),
    change(method::LOG_SET, Admin),
    call(method::TOKEN_LIST, Admin),
    change(method::TOKEN_MINT, Admin),
    change(method::TOKEN_REVOKE, Admin),
    call(method::KEY_LIST, Admin),
    change(method::KEY_ADD, Admin),
    change(method::KEY_REMOVE, Admin),
    call(method::ROLE_LIST, Admin),
    call(method::ACCESS_TEST, Admin),
    call(method::ACCESS_SESSIONS, Admin),
    call(method::TLS_SHOW, Stats),
    change(method::TONE_SET, StreamControl),
    change(method::TONE_FAULT, StreamControl),
];

/// The row of a route, by the router's own pattern: there is no second opinion about what a path means.
pub fn route(http_method: &str, pattern: &str) -> Option<&'static Rule> {
    let http_method = if http_method == "HEAD" { "GET" } else { http_method };
    let is_it =
        |rule: &&Rule| matches!(rule.subject, Subject::Route(m, p) if m == http_method && p == pattern);
    TABLE.iter().find(is_it)
}

/// The row of the route that a path leads to, by the engine that the router itself looks paths up with. For
/// somebody who asks beforehand; a request is judged by the route that the router found.
pub fn route_of(http_method: &str, path: &str) -> Option<&'static Rule> {
    static ROUTES: LazyLock<matchit::Router<&'static str>> = LazyLock::new(|| {
        let mut routes = matchit::Router::new();
        for rule in TABLE {
            if let Subject::Route(_, pattern) = rule.subject {
                // A pattern with two methods is there already.
                let _ = routes.insert(pattern, pattern);
            }
        }
        routes
    });
    route(http_method, ROUTES.at(path).ok()?.value)
}

/// The row of a method of the control socket.
pub fn control(name: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| matches!(rule.subject, Subject::Method(known) if known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_are_about_the_same() {
        for (at, rule) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.subject != rule.subject), "{:?}", rule.subject);
        }
    }

    #[test]
    fn what_is_not_in_the_table_has_no_row() {
        assert!(route("GET", "/tracks").is_some_and(|rule| rule.needs == Some(Listen)));
        assert!(route("HEAD", "/tracks").is_some(), "HEAD is GET without a body");
        for (method, pattern) in [
            ("POST", "/tracks"),
            ("get", "/tracks"),
            ("GET", "/Tracks"),
            ("GET", "/tracks/"),
            ("GET", "//tracks"),
        ] {
            assert_eq!(route(method, pattern), None, "{method} {pattern}");
        }
        assert_eq!(control("Status"), None);
    }

    #[test]
    fn a_track_is_named_by_its_place_in_the_path() {
        let track = |pattern, path| route("GET", pattern).expect("a row").track(path);
        assert_eq!(track("/stream/{id}", "/stream/7"), Some("7"));
        assert_eq!(track("/stream/{id}", "/stream/%37"), Some("%37"), "as it is written");
        assert_eq!(track("/stream/{id}", "/other/7"), None);
        assert_eq!(track("/tracks", "/tracks"), None);
    }

    #[test]
    fn what_changes_or_is_held_open_looks_at_the_origin() {
        for rule in TABLE {
            if let Subject::Route(method, pattern) = rule.subject {
                assert!(method == "GET" || rule.checks_origin(), "{method} {pattern}");
            }
            assert!(!rule.takes_token_in_query() || rule.checks_origin());
        }
    }
}
