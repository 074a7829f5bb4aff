//! What a configuration asks of the network that the packaged service does not have: it is reached through
//! the sockets it inherits, and reaches nobody itself.

use super::Config;

/// Keys that need more network than the packaged service has, and what for; a line each.
pub fn network_needs(config: &Config) -> Vec<String> {
    let mut needs = Vec::new();
    if config.access.jwt.jwks_url.is_some() {
        needs.push("access.jwt.jwks_url fetches keys from another machine".to_owned());
    }
    if let Some(address) = config.http.metrics_listen {
        needs.push(format!("http.metrics_listen opens {address} itself"));
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_need_none() {
        let mut config = Config::default();
        assert_eq!(network_needs(&config), Vec::<String>::new());
        config.access.jwt.jwks_url = Some("https://issuer.example/jwks.json".to_owned());
        config.http.metrics_listen = Some(([127, 0, 0, 1], 9100).into());
        let needs = network_needs(&config);
        assert!(
            needs[0].starts_with("access.jwt.jwks_url ") && needs[1].contains("127.0.0.1:9100"),
            "{needs:?}"
        );
    }
}
