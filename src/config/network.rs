//! What a configuration asks of the network that the packaged service does not have: it is reached through
//! the sockets it inherits, and reaches nobody itself.

use super::Config;

/// Keys that need more network than the packaged service has, and what for; a line each.
pub fn network_needs(config: &Config) -> Vec<String> {
    let mut needs = Vec::new();
    if config.access.jwt.jwks_url.is_some() {
        needs.push("access.jwt.jwks_url fetches keys from another machine".to_owned());
    }
    needs.extend(
        config
            .push
            .iter()
            .enumerate()
            .filter_map(|(number, push)| Some(format!("live.push.{number} sends to {}", push.url.as_ref()?))),
    );
    if let Some(address) = config.http.metrics_listen {
        needs.push(format!("http.metrics_listen opens {address} itself"));
    }
    for address in &config.http.tls.redirect_listen {
        needs.push(format!("http.tls.redirect_listen opens {address} itself"));
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::station::push::Settings as Push;

    #[test]
    fn the_defaults_need_none() {
        let mut config = Config::default();
        assert_eq!(network_needs(&config), Vec::<String>::new());
        config.access.jwt.jwks_url = Some("https://issuer.example/jwks.json".to_owned());
        let url = "icecast://radio.example/live".parse().ok();
        config.push = vec![Push { url, ..Push::default() }];
        config.http.metrics_listen = Some(([127, 0, 0, 1], 9100).into());
        config.http.tls.redirect_listen = vec![([0, 0, 0, 0], 80).into()];
        let needs = network_needs(&config);
        assert!(
            needs[0].starts_with("access.jwt.jwks_url ")
                && needs[2].contains("127.0.0.1:9100")
                && needs[3].contains("0.0.0.0:80"),
            "{needs:?}"
        );
        assert_eq!(needs[1], "live.push.0 sends to icecast://radio.example:8000/live");
    }
}
