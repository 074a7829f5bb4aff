//! How much anybody may use: the figures of `[access.limits]`, and whom they are about. The arithmetic
//! is in `bucket`; who has used how much is kept above, in `keys`.

use std::net::{IpAddr, Ipv6Addr};

use super::bucket::Rate;

/// Whom a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// An address that requests come from; of IPv6 its /64, which is what one subscriber has.
    Address,
    /// The subject of tokens.
    User,
    /// One token, by its `jti`.
    Token,
    /// One API key.
    Key,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Address, Self::User, Self::Token, Self::Key];

    /// Its name in the configuration, in metrics and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Token => "token",
            Self::Key => "key",
        }
    }
}

/// What is limited by refusing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Requests in a second.
    Requests,
    /// Live streams begun in a second.
    NewStreams,
    /// Streams at a time.
    Streams,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requests, Self::NewStreams, Self::Streams];

    /// Its key in the configuration, which is also its name in metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_s",
            Self::NewStreams => "new_streams_per_s",
            Self::Streams => "streams",
        }
    }
}

/// What one address, user, token or key may use; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a second.
    pub requests_per_s: u32,
    /// Live streams begun in a second.
    pub new_streams_per_s: u32,
    /// Streams at a time.
    pub streams: u32,
    /// Bytes of answers that are no live stream, in a second.
    pub bytes_per_s: u32,
}

/// `[access.limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// So many seconds' worth may be used at once by whoever used nothing before.
    pub burst_s: u32,
    /// `[access.limits.address]`.
    pub address: Quota,
    /// `[access.limits.user]`.
    pub user: Quota,
    /// `[access.limits.token]`.
    pub token: Quota,
    /// `[access.limits.key]`.
    pub key: Quota,
}

impl Default for Limits {
    /// An address may be an office, or a proxy with a crowd behind it; a user is a person with some devices.
    fn default() -> Self {
        let quota = |requests_per_s, new_streams_per_s, streams| Quota {
            requests_per_s,
            new_streams_per_s,
            streams,
            bytes_per_s: 0,
        };
        Self {
            burst_s: 10,
            address: quota(500, 100, 1000),
            user: quota(100, 20, 100),
            token: quota(100, 20, 100),
            key: quota(200, 50, 500),
        }
    }
}

impl Limits {
    /// What one of these may use.
    pub const fn of(&self, scope: Scope) -> &Quota {
        match scope {
            Scope::Address => &self.address,
            Scope::User => &self.user,
            Scope::Token => &self.token,
            Scope::Key => &self.key,
        }
    }

    /// The rate of requests of one of these, where there is one.
    pub fn requests(&self, scope: Scope) -> Option<Rate> {
        Rate::new(self.of(scope).requests_per_s, self.burst_s)
    }

    /// The rate of new streams of one of these, where there is one.
    pub fn new_streams(&self, scope: Scope) -> Option<Rate> {
        Rate::new(self.of(scope).new_streams_per_s, self.burst_s)
    }

    /// The rate of bytes of one of these, where there is one.
    pub fn bytes(&self, scope: Scope) -> Option<Rate> {
        Rate::new(self.of(scope).bytes_per_s, self.burst_s)
    }
}

/// What counts as one address: whoever has an IPv6 subnet has 2^64 addresses of it.
pub fn counted_as(address: IpAddr) -> IpAddr {
    const SUBNET: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & SUBNET).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_one_address_and_a_mapped_address_is_the_address() {
        let same = |one: &str, other: &str| {
            let parse = |text: &str| counted_as(text.parse().expect("address"));
            parse(one) == parse(other)
        };
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(!same("192.0.2.7", "192.0.2.8"), "of IPv4 each is one");
        assert!(!same("::1", "127.0.0.1"));
    }
}
