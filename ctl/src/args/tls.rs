//! The commands about the certificate of the HTTP door.

use std::path::PathBuf;

use clap::Subcommand;

/// Days that browsers take at most of a certificate that somebody trusts by hand.
const MOST_DAYS: i64 = 825;

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TlsWish {
    /// What certificate the daemon shows, until when, and how handshakes went
    Show,
    /// Make a key and a certificate that vouches for itself, for a network of one's own
    SelfSigned(SelfSigned),
}

/// A certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct SelfSigned {
    /// Where the certificate goes
    #[arg(long, value_name = "FILE", default_value = "/etc/talas/tls/cert.pem")]
    pub cert: PathBuf,
    /// Where its key goes
    #[arg(long, value_name = "FILE", default_value = "/etc/talas/tls/key.pem")]
    pub key: PathBuf,
    /// A name or address that it is for, beside those of this machine; may be given several times
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = MOST_DAYS, value_parser = clap::value_parser!(i64).range(1..=MOST_DAYS))]
    pub days: i64,
    /// Whose the files are to be; root's own, else talasd's where there is such a user
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}
