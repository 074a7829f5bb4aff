//! The keys of `[access.limits]`: the same four figures for an address, a user, a token and a key.

use super::form::{Whole, whole};
use super::keys::Keys;
use crate::access::{Limits, Quota};

/// The tables.
pub(super) fn describe(keys: &mut impl Keys, limits: &mut Limits) {
    keys.table(
        "access.limits",
        true,
        "How much anybody may use. It holds in every mode and for every address, loopback included: a\n\
         proxy that is not in http.trusted_proxies is one address, with all who come through it. What\n\
         is over a limit is answered with 429 and the time to wait.",
    );
    keys.key(
        "burst_s",
        &mut limits.burst_s,
        &whole(1, 3600),
        "So many seconds' worth of each rate may be used at once after a rest.",
    );
    let Limits { address, user, token, key, .. } = limits;
    quota(
        keys,
        "access.limits.address",
        "What one address may use, whoever is behind it; of IPv6 the /64 is one address. In each of\n\
         these tables 0 is no limit.",
        address,
    );
    quota(
        keys,
        "access.limits.user",
        "What one user may use: the subject of tokens, with all of them.",
        user,
    );
    quota(keys, "access.limits.token", "What one token may use, if it has a `jti`.", token);
    quota(keys, "access.limits.key", "What one API key may use.", key);
}

fn quota(keys: &mut impl Keys, table: &str, about: &'static str, quota: &mut Quota) {
    const COUNT: Whole = whole(0, 1_000_000);
    keys.table(table, true, about);
    keys.key("requests_per_s", &mut quota.requests_per_s, &COUNT, "Requests a second.");
    keys.key("new_streams_per_s", &mut quota.new_streams_per_s, &COUNT, "Live streams begun a second.");
    keys.key(
        "streams",
        &mut quota.streams,
        &COUNT,
        "Streams at a time: live ones, and other answers of more than 64 KiB while they are sent.",
    );
    keys.key(
        "bytes_per_s",
        &mut quota.bytes_per_s,
        &whole(0, u32::MAX),
        "Bytes a second of all answers but live streams, which go at their own rate: answers slow down.",
    );
}
