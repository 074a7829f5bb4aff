//! The commands about who is let in.

use clap::Subcommand;

/// What to do with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenWish {
    /// Make a token; it is shown once
    Mint {
        /// Who it is for
        #[arg(long, value_name = "WHO")]
        sub: String,
        /// What its bearer is; may be given several times
        #[arg(long = "role", value_name = "ROLE", default_value = "listener")]
        roles: Vec<String>,
        /// For how long: 90s, 15m, 8h, 30d
        #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = parse_lifetime)]
        for_s: u32,
        /// Only for this track; may be given several times
        #[arg(long, value_name = "ID")]
        audio_id: Vec<String>,
        /// Only for this path, or with * at its end all that begin so; may be given several times
        #[arg(long = "path", value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Tokens made by the daemon that have not expired
    List,
    /// Make tokens worthless before their time; what runs under them ends
    Revoke(TokenEnd),
}

/// Which tokens are to be worthless.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TokenEnd {
    /// The token of this name (its jti)
    pub jti: Option<String>,
    /// All tokens of somebody that were made up to now
    #[arg(long, value_name = "WHO")]
    pub sub: Option<String>,
}

/// What to do with API keys.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyWish {
    /// Make a key; it is shown once
    Add {
        /// What people call it
        name: String,
        /// What it gives; may be given several times
        #[arg(long = "permission", value_name = "PERMISSION", default_value = "listen")]
        permissions: Vec<String>,
        /// Only from this address or range, such as 192.0.2.0/24; may be given several times
        #[arg(long = "from", value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// For how long: 90s, 15m, 8h, 30d; without it until it is removed
        #[arg(long = "for", value_name = "TIME", value_parser = parse_lifetime)]
        for_s: Option<u32>,
    },
    /// The keys, and when each was last used
    List,
    /// Remove a key; what runs under it ends
    Remove {
        /// Its id or its name
        key: String,
    },
}

/// What to do with roles.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum RoleWish {
    /// The roles
    List,
}

/// What to ask about access.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AccessWish {
    /// Say step by step what would come of a request
    Test {
        /// A token or API key; - reads it from standard input, where no list of processes shows it
        token: String,
        /// The method, such as GET
        method: String,
        /// The path, such as /stream/ID
        path: String,
        /// The address that it would come from
        #[arg(long = "from", value_name = "ADDRESS")]
        address: Option<std::net::IpAddr>,
    },
    /// Streams and long answers that run under a token or key
    Sessions,
}

/// `90s`, `15m`, `8h`, `30d`, in seconds.
fn parse_lifetime(text: &str) -> Result<u32, String> {
    let wrong = || "a time such as 90s, 15m, 8h or 30d".to_owned();
    let unit_s = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds =
        number.parse::<u32>().ok().filter(|_| is_number).and_then(|count| count.checked_mul(unit_s));
    seconds.filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_say_their_unit() {
        assert_eq!(parse_lifetime("90s"), Ok(90));
        assert_eq!(parse_lifetime("30d"), Ok(2_592_000));
        for wrong in ["", "s", "0s", "5", "-5s", "+5s", "1.5h", "5 s", "99999d", "5w", "5é"] {
            assert!(parse_lifetime(wrong).is_err(), "{wrong:?}");
        }
    }
}
