//! What somebody may do: permissions, sets of them, and the roles that are names for such sets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind};

/// One thing that somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Hear the programme and the library.
    Listen,
    /// See figures, levels and states.
    Stats,
    /// Pause, resume, change the quality, end a listener's connection.
    StreamControl,
    /// See how each listener is served.
    DebugAccess,
    /// Read `/metrics`.
    Metrics,
    /// Let others in and throw them out, change the daemon itself.
    Admin,
}

impl Permission {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Listen, Self::Stats, Self::StreamControl, Self::DebugAccess, Self::Metrics, Self::Admin];

    /// Its name in tokens, keys, the configuration and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Stats => "stats",
            Self::StreamControl => "stream_control",
            Self::DebugAccess => "debug_access",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Permission {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name).ok_or_else(|| {
            let known = Permissions::ALL;
            Error::new(Kind::Invalid, format!("there is no permission {name:?}: the permissions are {known}"))
        })
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self::of(&Permission::ALL);

    /// These.
    pub const fn of(list: &[Permission]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < list.len() {
            bits |= 1 << list[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether a permission is among them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }

    /// Their names, in order.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|permission| permission.as_str().to_owned()).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(list: I) -> Self {
        list.into_iter().fold(Self::NONE, |set, permission| set.and(Self::of(&[permission])))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (at, permission) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", permission.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// The roles that are always there.
const BUILT_IN: [(&str, Permissions); 5] = [
    // Not `stats`: those tell who else listens, and when.
    ("listener", Permissions::of(&[Permission::Listen])),
    (
        "operator",
        Permissions::of(&[
            Permission::Listen,
            Permission::Stats,
            Permission::StreamControl,
            Permission::DebugAccess,
            Permission::Metrics,
        ]),
    ),
    ("admin", Permissions::ALL),
    // Another backend that fetches sound for its users.
    ("service", Permissions::of(&[Permission::Listen, Permission::Stats])),
    ("metrics", Permissions::of(&[Permission::Metrics])),
];

/// The role of a token that names neither roles nor permissions: it was made for somebody to listen.
pub const ROLE_OF_THE_UNNAMED: &str = "listener";

/// Roles by name: those that are always there, and those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    own: BTreeMap<String, Permissions>,
}

impl Roles {
    /// The built-in roles and these.
    pub fn new(own: BTreeMap<String, Permissions>) -> Self {
        Self { own }
    }

    /// Whether a role of this name is always there.
    pub fn is_built_in(name: &str) -> bool {
        BUILT_IN.iter().any(|(known, _)| *known == name)
    }

    /// What a role gives; `None` where there is no such role. A built-in role cannot be redefined.
    pub fn get(&self, name: &str) -> Option<Permissions> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, set)| *set);
        built_in.or_else(|| self.own.get(name).copied())
    }

    /// Each role with what it gives, the built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Permissions)> {
        let own = self.own.iter().map(|(name, set)| (name.as_str(), *set));
        BUILT_IN.into_iter().chain(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_sets_hold_what_is_put_in() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse::<Permission>().expect("known"), permission);
            let set: Permissions = [permission].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [permission]);
            assert!(Permissions::ALL.has(permission) && !Permissions::NONE.has(permission));
        }
        for wrong in ["", "Listen", "listen ", "*", "all"] {
            let error = wrong.parse::<Permission>().expect_err(wrong);
            assert!(error.message().contains("stream_control"), "{error}");
        }
        assert_eq!(
            Permissions::of(&[Permission::Metrics, Permission::Listen]).to_string(),
            "listen, metrics"
        );
        assert_eq!(Permissions::NONE.to_string(), "nothing");
    }

    #[test]
    fn only_admins_administer_and_only_operators_steer() {
        let roles = Roles::new(BTreeMap::from([("admin".to_owned(), Permissions::NONE)]));
        let may = |permission| {
            let those = roles.iter().filter(|(_, set)| set.has(permission)).map(|(name, _)| name);
            those.collect::<Vec<_>>()
        };
        assert_eq!(may(Permission::Admin), ["admin"]);
        assert_eq!(may(Permission::StreamControl), ["operator", "admin"]);
        assert_eq!(roles.get("admin"), Some(Permissions::ALL), "what is built in stays so");
        assert_eq!(roles.get("nobody"), None);
    }
}
