//! A real Icecast on a port of its own, with its own configuration and logs; and servers that are none.

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::common::{Player, eventually, request};

/// What sources show.
pub const PASSWORD: &str = "hackme";

/// A running server, or one that was stopped and can be started again in its place.
pub struct Icecast {
    pub address: SocketAddr,
    config: PathBuf,
    dir: TempDir,
    child: Option<Child>,
}

impl Icecast {
    pub fn start() -> Self {
        Self::with("")
    }

    /// One that is spoken to by TLS, with this file of certificate and key.
    pub fn with_tls(pem: &Path) -> Self {
        Self::with(&format!("<ssl-certificate>{}</ssl-certificate>", pem.display()))
    }

    fn with(paths: &str) -> Self {
        let address = free_address();
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        // It does not run as root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
        let is_root = nix::unistd::geteuid().is_root();
        let owner = "<changeowner><user>nobody</user><group>nogroup</group></changeowner>";
        let text = format!(
            "<icecast><limits><sources>8</sources><source-timeout>3</source-timeout>\
             <burst-on-connect>0</burst-on-connect></limits><authentication>\
             <source-password>{PASSWORD}</source-password><admin-user>admin</admin-user>\
             <admin-password>secret</admin-password></authentication><hostname>localhost</hostname>\
             <listen-socket><port>{}</port><bind-address>{}</bind-address><ssl>{}</ssl></listen-socket>\
             <paths><logdir>{}</logdir><webroot>/usr/share/icecast2/web</webroot>\
             <adminroot>/usr/share/icecast2/admin</adminroot>{paths}</paths>\
             <logging><errorlog>error.log</errorlog><accesslog>access.log</accesslog>\
             <loglevel>3</loglevel></logging><security><chroot>0</chroot>{}</security></icecast>",
            address.port(),
            address.ip(),
            u8::from(!paths.is_empty()),
            logs.display(),
            if is_root { owner } else { "" },
        );
        let config = dir.path().join("icecast.xml");
        fs::write(&config, text).unwrap();
        let mut icecast = Self { address, config, dir, child: None };
        icecast.start_again();
        icecast
    }

    pub fn start_again(&mut self) {
        // Its last run's would tell of readiness too soon.
        let _ = fs::remove_file(self.dir.path().join("logs/error.log"));
        let child = Command::new("icecast2")
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("icecast2 is installed by scripts/setup.sh: {error}"));
        self.child = Some(child);
        // It opens its sockets twice, and in between they are closed; before the second time it says this.
        eventually("icecast opens its sockets", || self.log().contains("get_ssl_certificate").then_some(()));
        eventually("icecast listens", || TcpStream::connect(self.address).ok());
    }

    /// Ends it without a word to anybody.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The address of a mount point.
    pub fn url(&self, mount: &str) -> String {
        format!("icecast://{}{mount}", self.address)
    }

    /// What it says of a mount point, if there is a source.
    pub fn source(&self, mount: &str) -> Option<serde_json::Value> {
        let page = request(self.address, "GET", "/status-json.xsl", &[], b"").body;
        // Without a source it is no JSON.
        let page: serde_json::Value = serde_json::from_slice(&page).ok()?;
        let sources = &page["icestats"]["source"];
        let all = sources.as_array().cloned().unwrap_or_else(|| vec![sources.clone()]);
        all.into_iter().find(|one| one["listenurl"].as_str().is_some_and(|url| url.ends_with(mount)))
    }

    /// A listener of a mount point.
    pub fn listener(&self, mount: &str) -> Player {
        let player = Player::with(self.address, mount, "Icy-MetaData: 1\r\n");
        assert_eq!(player.status, 200, "{mount}");
        player
    }

    /// What it says of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("logs/error.log")).unwrap_or_default()
    }

    /// How often a source was let in or refused, as its own log counts.
    pub fn attempts(&self) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains("Source logging in") || line.contains("bad or missing password"))
            .count()
    }
}

impl Drop for Icecast {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- icecast's log ---\n{}", self.log());
        }
        self.kill();
    }
}

/// This process's own address of loopback: nobody else takes a port of it between two servers.
pub fn own_ip() -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 99, high, low.clamp(1, 254))
}

fn free_address() -> SocketAddr {
    TcpListener::bind((own_ip(), 0)).unwrap().local_addr().unwrap()
}

/// Reads the head of a request: its first line, and all of it.
pub fn read_request(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            break;
        }
    }
    (head.lines().next().unwrap_or_default().to_owned(), head)
}

/// The next connection to a server of a test's own, with a bound on every wait.
pub fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    BufReader::new(stream)
}

/// Says something to whoever connected.
pub fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    stream.get_mut().write_all(text.as_bytes()).unwrap();
}

/// So many bytes of what comes.
pub fn take(stream: &mut BufReader<TcpStream>, bytes: usize) -> Vec<u8> {
    let mut taken = vec![0; bytes];
    stream.read_exact(&mut taken).unwrap();
    taken
}
