//! The one function that says yes or no, for HTTP and the control socket alike.

use std::fmt::{self, Arguments};
use std::net::IpAddr;

use talas_wire::Level;

use super::bounds::Bounds;
use super::permission::{Permission, Permissions};
use super::table::{Rule, Subject};

/// By what somebody was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The door is open to whoever reaches it.
    Open,
    /// Nothing was shown: what everybody may.
    Anonymous,
    /// What the kernel says of a peer of the control socket.
    Level(Level),
    /// A token; its `jti`, where it has one.
    Token(Option<String>),
    /// An API key; its id.
    Key(String),
}

/// Somebody who asks, known as far as they can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// By what.
    pub via: Via,
    /// Who: the subject of a token, the name of a key.
    pub subject: Option<String>,
    /// What they may do.
    pub permissions: Permissions,
    /// Where.
    pub bounds: Bounds,
    /// When a token was made, in seconds since the epoch; `None` where it does not say.
    pub issued_s: Option<i64>,
    /// Until when, in seconds since the epoch; `None` is for good.
    pub expires_s: Option<i64>,
}

impl Pass {
    fn unnamed(via: Via, permissions: Permissions) -> Self {
        Self { via, subject: None, permissions, bounds: Bounds::default(), issued_s: None, expires_s: None }
    }

    /// Whoever reaches an open door.
    pub fn open() -> Self {
        Self::unnamed(Via::Open, Permissions::ALL)
    }

    /// Whoever shows nothing, where everybody may do this.
    pub fn anonymous(permissions: Permissions) -> Self {
        Self::unnamed(Via::Anonymous, permissions)
    }

    /// A peer of the control socket.
    pub fn of_level(level: Level) -> Self {
        Self::unnamed(Via::Level(level), of_level(level))
    }
}

/// What a level of the control socket may do.
const fn of_level(level: Level) -> Permissions {
    const READ: Permissions = Permissions::of(&[Permission::Listen, Permission::Stats]);
    match level {
        Level::Read => READ,
        Level::Change => READ.and(Permissions::of(&[
            Permission::StreamControl,
            Permission::DebugAccess,
            Permission::Metrics,
        ])),
        Level::Admin => Permissions::ALL,
    }
}

/// The least level of the control socket that may do what a row is about.
pub fn least_level(rule: &Rule) -> Level {
    let may = |level: &Level| rule.needs.is_none_or(|needed| of_level(*level).has(needed));
    [Level::Read, Level::Change].into_iter().find(may).unwrap_or(Level::Admin)
}

/// What a request is about, beyond its row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// The path as it came over the wire.
    pub path: &'a str,
    /// Where it comes from.
    pub address: Option<IpAddr>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The table does not know it.
    Unlisted,
    /// The permission is missing.
    Missing(Permission),
    /// The token or key is for other tracks.
    OtherTrack,
    /// It is for other paths.
    OtherPath,
    /// It is for other addresses.
    OtherAddress,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted => f.write_str("it is in no row of the table of permissions, so nobody may"),
            Self::Missing(permission) => write!(f, "the permission {} is missing", permission.as_str()),
            Self::OtherTrack => f.write_str("what was shown is for other tracks"),
            Self::OtherPath => f.write_str("what was shown is for other paths"),
            Self::OtherAddress => f.write_str("what was shown is for other addresses"),
        }
    }
}

/// Decides, and tells each step: to nobody on the way of a request, to an operator who asks why.
///
/// # Errors
/// The reason for a no.
pub fn decide(
    rule: Option<&Rule>,
    pass: &Pass,
    place: Place<'_>,
    tell: &mut dyn FnMut(Arguments<'_>),
) -> Result<(), Denial> {
    let Some(rule) = rule else {
        tell(format_args!("no row of the table is about it"));
        return Err(Denial::Unlisted);
    };
    let (Subject::Route(_, name) | Subject::Method(name)) = rule.subject;
    let Some(needed) = rule.needs else {
        tell(format_args!("{name} is for everybody"));
        return Ok(());
    };
    tell(format_args!("{name} needs {}", needed.as_str()));
    tell(format_args!("this gives {}", pass.permissions));
    if !pass.permissions.has(needed) {
        return Err(Denial::Missing(needed));
    }
    within(&pass.bounds, rule, place, tell)
}

fn within(
    bounds: &Bounds,
    rule: &Rule,
    place: Place<'_>,
    tell: &mut dyn FnMut(Arguments<'_>),
) -> Result<(), Denial> {
    if let Some(networks) = &bounds.networks {
        let is_in = place.address.is_some_and(|address| networks.iter().any(|network| network.has(address)));
        tell(format_args!("it is for {} addresses or ranges, and this {} one", networks.len(), is(is_in)));
        if !is_in {
            return Err(Denial::OtherAddress);
        }
    }
    if let Some(tracks) = &bounds.tracks {
        let track = rule.track(place.path);
        let is_in = track.is_some_and(|track| tracks.iter().any(|own| own == track));
        tell(format_args!("it is for {} tracks, and this {} one", tracks.len(), is(is_in)));
        if !is_in {
            return Err(Denial::OtherTrack);
        }
    }
    if let Some(paths) = &bounds.paths {
        let is_in = paths.iter().any(|pattern| pattern.fits(place.path));
        tell(format_args!("it is for {} paths, and this {} one", paths.len(), is(is_in)));
        if !is_in {
            return Err(Denial::OtherPath);
        }
    }
    Ok(())
}

const fn is(it: bool) -> &'static str {
    if it { "is" } else { "is not" }
}

#[cfg(test)]
mod tests {
    use super::super::table::{TABLE, control, route};
    use super::*;

    fn judge(rule: Option<&Rule>, pass: &Pass, place: Place<'_>) -> Result<(), Denial> {
        decide(rule, pass, place, &mut |_| {})
    }

    #[test]
    fn what_no_row_is_about_is_refused_to_everybody() {
        for pass in [Pass::open(), Pass::of_level(Level::Admin), Pass::anonymous(Permissions::ALL)] {
            assert_eq!(judge(None, &pass, Place::default()), Err(Denial::Unlisted));
        }
    }

    #[test]
    fn the_needed_permission_and_no_other_opens_each_row() {
        for rule in TABLE {
            for permission in Permission::ALL {
                let alone = Pass::anonymous(Permissions::of(&[permission]));
                let expected = match rule.needs {
                    Some(needed) if needed != permission => Err(Denial::Missing(needed)),
                    _ => Ok(()),
                };
                assert_eq!(judge(Some(rule), &alone, Place::default()), expected, "{rule:?}");
            }
        }
    }

    #[test]
    fn levels_open_what_their_least_level_says() {
        for rule in TABLE {
            for level in [Level::Read, Level::Change, Level::Admin] {
                let may = judge(Some(rule), &Pass::of_level(level), Place::default()).is_ok();
                assert_eq!(may, level >= least_level(rule), "{rule:?}");
            }
        }
        let level = |name| control(name).map(least_level);
        assert_eq!(level("status"), Some(Level::Read));
        assert_eq!(level("capture.pause"), Some(Level::Change));
        assert_eq!(level("reload"), Some(Level::Admin));
    }

    #[test]
    fn a_link_to_one_track_opens_that_track() {
        let bounds = Bounds { tracks: Some(vec!["7".to_owned()]), ..Bounds::default() };
        let pass = Pass { bounds, ..Pass::anonymous(Permissions::ALL) };
        let at = |pattern, path| judge(route("GET", pattern), &pass, Place { path, address: None });
        assert_eq!(at("/stream/{id}", "/stream/7"), Ok(()));
        for other in ["/stream/70", "/stream/", "/stream/%37", "/stream//7", "/stream/./7", "/stream/7%2f"] {
            assert_eq!(at("/stream/{id}", other), Err(Denial::OtherTrack), "{other}");
        }
        // What is about no track is not opened, whatever a path calls itself.
        assert_eq!(at("/tracks", "/stream/7"), Err(Denial::OtherTrack));
        assert_eq!(at("/api/audio/stream", "/stream/7"), Err(Denial::OtherTrack));
        assert_eq!(at("/healthz", "/healthz"), Ok(()));
    }

    #[test]
    fn every_bound_must_hold() {
        let bounds = Bounds {
            tracks: Some(vec!["7".to_owned()]),
            paths: Some(vec!["/stream/*".parse().expect("a path")]),
            networks: Some(vec!["192.0.2.0/24".parse().expect("a network")]),
        };
        let pass = Pass { bounds, ..Pass::anonymous(Permissions::ALL) };
        let at = |path, address: &str| {
            let place = Place { path, address: address.parse().ok() };
            judge(route("GET", "/stream/{id}"), &pass, place)
        };
        assert_eq!(at("/stream/7", "192.0.2.1"), Ok(()));
        assert_eq!(at("/stream/7", "192.0.3.1"), Err(Denial::OtherAddress));
        assert_eq!(at("/stream/7", ""), Err(Denial::OtherAddress), "an unknown address is another one");
        assert_eq!(at("/stream/8", "192.0.2.1"), Err(Denial::OtherTrack));
        let pass = Pass { bounds: Bounds { tracks: None, ..pass.bounds.clone() }, ..pass };
        let place = Place { path: "/tracks", address: "192.0.2.1".parse().ok() };
        assert_eq!(judge(route("GET", "/tracks"), &pass, place), Err(Denial::OtherPath));
    }
}
