//! The shipped configuration: what the daemon prints is what is shipped, and it changes nothing.

use std::fs;
use std::path::Path;

use talasd::config::{self, Config, Environment};

const SHIPPED: &str = "etc/talasd.toml";

/// Set to write the file instead of comparing it.
const REWRITE: &str = "REWRITE_EXPECTED";

#[test]
fn is_what_the_code_describes() {
    let sample = config::sample();
    if std::env::var_os(REWRITE).is_some() {
        fs::write(SHIPPED, &sample).expect("write");
    }
    let shipped = fs::read_to_string(SHIPPED).unwrap_or_default();
    assert!(
        shipped == sample,
        "{SHIPPED} is not what the keys' descriptions say; write it anew with \
         `{REWRITE}=1 cargo test --test shipped_config`"
    );
}

#[test]
fn is_all_defaults() {
    let loaded = config::load(Some(Path::new(SHIPPED)), &Environment::default()).expect("valid");
    let mut defaults = Config::default();
    // By hand, without root, the socket and the library are elsewhere; the file speaks of the service.
    defaults.control.socket = "/run/talas/talasd.sock".into();
    defaults.library.dirs = vec!["/var/lib/talas/library".into()];
    assert_eq!(loaded.config, defaults);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn fits_a_terminal() {
    for line in config::sample().lines().filter(|line| line.starts_with('#')) {
        assert!(line.len() <= 110, "{line}");
    }
}
