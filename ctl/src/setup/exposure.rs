//! Who may connect: the drop-in of the HTTP socket and the announcement by mDNS, as texts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the drop-in goes. It is this program's own: a hand-written one beside it has another name.
pub const DROP_IN: &str = "/etc/systemd/system/talasd-http.socket.d/setup.conf";

/// The port that the package comes with.
const PORT: u16 = 8080;

/// Networks that are nobody's but their owner's, in systemd's words.
const LOCAL_NETWORKS: &str = "localhost link-local 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7";

/// The addresses to serve on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
}

impl Exposure {
    /// These addresses.
    pub fn on(listen: Vec<SocketAddr>) -> Self {
        Self { listen }
    }

    /// Every address of this machine, for the networks around it.
    pub fn local_network() -> Self {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        Self { listen: any.map(|address| SocketAddr::new(address, PORT)).to_vec() }
    }

    /// Whether only this machine gets through.
    pub fn is_loopback(&self) -> bool {
        self.listen.iter().all(|address| address.ip().is_loopback())
    }

    /// The drop-in of talasd-http.socket.
    pub fn drop_in(&self) -> String {
        let allowed = if self.is_loopback() { "localhost" } else { LOCAL_NETWORKS };
        let listen: String = self.listen.iter().map(|address| format!("ListenStream={address}\n")).collect();
        format!(
            "# Written by talasctl setup. Who else may come in belongs into IPAddressAllow= of another drop-in.\n\
             [Socket]\nListenStream=\n{listen}IPAddressDeny=any\nIPAddressAllow={allowed}\n"
        )
    }

    /// The service file for Avahi; nothing where there is nobody to tell.
    pub fn announcement(&self) -> Option<String> {
        let port = self.listen.iter().find(|address| !address.ip().is_loopback())?.port();
        Some(format!(
            "<?xml version=\"1.0\" standalone=\"no\"?>\n\
             <!DOCTYPE service-group SYSTEM \"avahi-service.dtd\">\n\
             <!-- Written by talasctl setup. -->\n\
             <service-group>\n  <name replace-wildcards=\"yes\">Talas on %h</name>\n  <service>\n    \
             <type>_http._tcp</type>\n    <port>{port}</port>\n    <txt-record>path=/</txt-record>\n  \
             </service>\n</service-group>\n"
        ))
    }
}

/// How others reach the door: by this machine's name where it listens on every address.
pub fn door(addresses: &[String], names: &[String]) -> String {
    let first = addresses.iter().find(|address| !is_of_loopback(address)).or(addresses.first());
    let Some(first) = first else { return format!("http://127.0.0.1:{PORT}") };
    let name = names.last().map_or("localhost", String::as_str);
    first.replace("://0.0.0.0:", &format!("://{name}:")).replace("://[::]:", &format!("://{name}:"))
}

fn is_of_loopback(address: &str) -> bool {
    address.contains("://127.") || address.contains("://[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_replaces_the_addresses_and_says_who_may_come() {
        let drop_in = Exposure::local_network().drop_in();
        assert!(
            drop_in.contains("ListenStream=\nListenStream=0.0.0.0:8080\nListenStream=[::]:8080\n"),
            "{drop_in}"
        );
        assert!(drop_in.contains("IPAddressAllow=localhost link-local 10."), "{drop_in}");
        let own = Exposure::on(vec![([127, 0, 0, 1], 9000).into()]);
        assert!(
            own.drop_in()
                .contains("ListenStream=127.0.0.1:9000\nIPAddressDeny=any\nIPAddressAllow=localhost\n")
        );
    }

    #[test]
    fn only_what_others_reach_is_announced() {
        assert_eq!(Exposure::on(vec![([127, 0, 0, 1], 9000).into()]).announcement(), None);
        assert!(
            Exposure::local_network().announcement().is_some_and(|text| text.contains("<port>8080</port>"))
        );
    }

    #[test]
    fn others_are_told_the_name() {
        let names = ["studio".to_owned(), "studio.local".to_owned()];
        let door =
            |addresses: &[&str]| door(&addresses.iter().map(|&a| a.to_owned()).collect::<Vec<_>>(), &names);
        assert_eq!(door(&["http://127.0.0.1:8080", "http://0.0.0.0:8080"]), "http://studio.local:8080");
        assert_eq!(door(&["http://[::]:80"]), "http://studio.local:80");
        assert_eq!(door(&["http://127.0.0.1:8080"]), "http://127.0.0.1:8080");
    }
}
