//! The peer: nginx with nchan, which spreads what is published over server-sent events.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Server, ask};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// A running peer.
pub struct Nchan {
    pub server: Server,
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Nchan {
    /// Starts it with two workers and waits until it answers; `None` where it is not installed.
    pub fn start() -> Option<Self> {
        if !Path::new(MODULE).exists() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("nginx.conf");
        fs::write(&config, configuration(dir.path(), port)).unwrap();
        let child = Command::new("nginx").arg("-c").arg(&config).arg("-p").arg(dir.path()).spawn().ok()?;
        let server = Server(child);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { server, address, _dir: dir })
    }
}

fn configuration(dir: &Path, port: u16) -> String {
    format!(
        "load_module {MODULE};\nworker_processes 2;\ndaemon off;\nerror_log stderr crit;\npid {0}/nginx.pid;\n\
         worker_rlimit_nofile 20000;\nevents {{ worker_connections 16384; }}\n\
         http {{ access_log off; client_body_buffer_size 1m; client_max_body_size 1m;\n\
         client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f;\n\
         uwsgi_temp_path {0}/u; scgi_temp_path {0}/s; keepalive_requests 1000000000;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096;\n\
         location /pub {{ nchan_publisher; nchan_channel_id live; nchan_message_buffer_length 94; }}\n\
         location /sub {{ nchan_subscriber eventsource; nchan_channel_id live;\n\
         nchan_subscriber_first_message newest; }}\n\
         }} }}\n",
        dir.display()
    )
}

/// The data of one block as talasd sends it: the same payload for both.
pub fn payload(address: SocketAddr) -> String {
    let stream = ask(address, "/api/audio/stream");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let block = lines.find(|line| line.starts_with("data: {\"channel_a\"")).expect("a block");
    block["data: ".len()..].to_owned()
}

/// Publishes the payload at a rate, on one connection.
pub struct Publisher {
    stream: TcpStream,
    message: Vec<u8>,
    per_second: f64,
    began: Instant,
    sent: u64,
}

impl Publisher {
    pub fn new(address: SocketAddr, payload: &str, per_second: f64) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "POST /pub HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            payload.len()
        );
        let message = [head.as_bytes(), payload.as_bytes()].concat();
        Self { stream, message, per_second, began: Instant::now(), sent: 0 }
    }

    /// Publishes once more if it is time to.
    pub fn tick(&mut self) {
        if self.began.elapsed().as_secs_f64() * self.per_second < self.sent as f64 {
            return;
        }
        self.sent += 1;
        self.stream.write_all(&self.message).unwrap();
        self.stream.set_nonblocking(true).unwrap();
        // Answers are read when they are there; none is waited for.
        let _ = self.stream.read(&mut [0_u8; 4096]);
        self.stream.set_nonblocking(false).unwrap();
    }
}
