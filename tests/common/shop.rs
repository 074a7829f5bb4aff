//! A daemon with a library of files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Answer, Daemon, Setup, eventually, exchange};

/// Bytes of the usual track: no multiple of any buffer.
pub const LENGTH: usize = 1_000_003;

/// Bytes of which every place can be told from every other.
pub fn content(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A daemon with a library.
pub struct Shop {
    pub daemon: Daemon,
    pub music: PathBuf,
}

impl Shop {
    pub fn new() -> Self {
        let setup = Setup::new("library.dirs = [\"music\"]\n[capture.tone]\n");
        let music = setup.dir().join("music");
        fs::create_dir(&music).unwrap();
        Self { daemon: setup.start(), music }
    }

    /// With one settled track of the usual content: its tag is strong.
    pub fn with_track() -> (Self, String) {
        let shop = Self::new();
        shop.put("a.mp3", &content(LENGTH));
        std::thread::sleep(Duration::from_millis(2100));
        let id = shop.id("a.mp3");
        (shop, format!("/stream/{id}"))
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.music.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The id of a track, as soon as the listing has it.
    pub fn id(&self, path: &str) -> String {
        eventually(path, || {
            let tracks = self.daemon.get("/tracks?limit=1000");
            let track = tracks["tracks"].as_array().unwrap().iter().find(|track| track["path"] == path);
            track.map(|track| track["id"].as_str().unwrap().to_owned())
        })
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(format!("{method} {path} HTTP/1.1\r\n"), headers)
    }

    pub fn send(&self, mut text: String, headers: &[(&str, &str)]) -> Answer {
        text.push_str("Host: localhost\r\nConnection: close\r\n");
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        exchange(self.daemon.address(), format!("{text}\r\n").as_bytes())
    }

    /// Resident bytes of the daemon.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn is_well(&self) {
        assert_eq!(self.daemon.get_any("/healthz").status, 200);
    }
}
