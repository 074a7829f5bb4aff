//! What may be typed to set the appliance up and to report on it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What `setup` is to do; nothing asks for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct SetupWish {
    /// Capture from this device, as `talasctl devices` names it
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub device: Option<String>,
    /// Serve on this address, such as 127.0.0.1:8080 for this machine alone or 0.0.0.0:8080 for the local
    /// network; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Make a token for somebody who is to listen, good for 30 days
    #[arg(long, value_name = "WHO", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub token: Option<String>,
    /// The configuration to write to
    #[arg(long, value_name = "FILE", default_value = "/etc/talas/talasd.toml")]
    pub config: PathBuf,
}

impl SetupWish {
    /// Whether nothing was said, so that everything has to be asked.
    pub fn is_open(&self) -> bool {
        self.device.is_none() && self.listen.is_empty() && self.token.is_none()
    }
}
