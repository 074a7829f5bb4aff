//! What becomes of files while they are served: an answer is right to the last byte or visibly broken,
//! and the daemon lives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use common::*;

/// Far more than all buffers between the file and a reader that waits.
const LARGE: usize = 64 << 20;

/// An answer under way: its head and first bytes were read, the rest waits in the daemon.
struct UnderWay {
    reader: BufReader<TcpStream>,
    taken: Vec<u8>,
}

impl UnderWay {
    fn begin(shop: &Shop, id: &str) -> Self {
        let mut stream = connect(shop.daemon.address());
        write!(stream, "GET /stream/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200);
        assert!(headers.contains(&("content-length".to_owned(), LARGE.to_string())));
        let mut taken = vec![0; 100_000];
        reader.read_exact(&mut taken).unwrap();
        // Now everything in between is full, and the daemon waits for its reader.
        std::thread::sleep(Duration::from_millis(300));
        Self { reader, taken }
    }

    /// Reads to the end, whichever way that comes.
    fn finish(mut self) -> Vec<u8> {
        let mut piece = vec![0; 1 << 16];
        // An error is a reset: an end like another.
        while let Ok(read @ 1..) = self.reader.read(&mut piece) {
            self.taken.extend_from_slice(&piece[..read]);
        }
        self.taken
    }
}

fn serve_while(spoil: impl FnOnce(&Path)) -> (Shop, Vec<u8>, Vec<u8>) {
    let shop = Shop::new();
    let bytes = content(LARGE);
    let path = shop.put("a.wav", &bytes);
    let under_way = UnderWay::begin(&shop, &shop.id("a.wav"));
    spoil(&path);
    let served = under_way.finish();
    shop.is_well();
    (shop, bytes, served)
}

fn assert_broken_off(bytes: &[u8], served: &[u8]) {
    assert!(served.len() < LARGE, "the length that was promised is not met");
    assert!(bytes.starts_with(served), "and what came until then is right");
}

#[test]
fn truncated() {
    let (shop, bytes, served) = serve_while(|path| {
        // On a border of pages: nothing of the kept part changes.
        OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
    });
    assert_broken_off(&bytes, &served);
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[("Range", "bytes=-10")]);
    assert_eq!(answer.header("content-range"), Some("bytes 1048566-1048575/1048576"));
    assert!(answer.body == bytes[(1 << 20) - 10..1 << 20]);
}

#[test]
fn truncated_to_nothing() {
    let (shop, bytes, served) = serve_while(|path| drop(File::create(path).unwrap()));
    assert_broken_off(&bytes, &served);
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[]);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[("Range", "bytes=0-")]);
    assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */0")));
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[("Range", "bytes=-5")]);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
}

#[test]
fn written_to_in_place() {
    let (_, bytes, served) = serve_while(|path| {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(LARGE as u64 - 5)).unwrap();
        file.write_all(b"other").unwrap();
    });
    assert_broken_off(&bytes, &served);
}

#[test]
fn replaced() {
    let (shop, bytes, served) = serve_while(|path| {
        let beside = path.with_extension("new");
        fs::write(&beside, "another").unwrap();
        fs::rename(&beside, path).unwrap();
    });
    assert_broken_off(&bytes, &served);
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[]);
    assert_eq!(answer.text(), "another");
}

#[test]
fn deleted() {
    let (shop, bytes, served) = serve_while(|path| fs::remove_file(path).unwrap());
    assert_broken_off(&bytes, &served);
    assert_eq!(
        eventually("an empty library", || {
            Some(shop.daemon.get("/tracks")).filter(|tracks| tracks["total"] == 0)
        })["tracks"],
        serde_json::json!([])
    );
}

#[test]
fn grown() {
    let (shop, bytes, served) = serve_while(|path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    });
    assert!(served == bytes, "what was promised is still there");
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("a.wav")), &[("Range", "bytes=-4")]);
    assert_eq!(answer.text(), "more");
}

#[test]
fn what_is_no_readable_file_is_no_track() {
    let shop = Shop::new();
    let path = shop.put("a.mp3", b"sound");
    let stream = format!("/stream/{}", shop.id("a.mp3"));
    let status = || shop.ask("GET", &stream, &[]).status;
    assert_eq!(status(), 200);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(status(), 404, "a FIFO without a writer holds nobody up");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(status(), 404, "a directory");
    fs::remove_dir(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(status(), 404, "a device behind a link");
    fs::remove_file(&path).unwrap();
    assert_eq!(status(), 404, "gone");
    shop.put("a.mp3", b"sound");
    assert_eq!(status(), 200, "and back");
    fs::set_permissions(&path, Permissions::from_mode(0o0)).unwrap();
    // Root reads everything.
    let expected = if nix::unistd::geteuid().is_root() { 200 } else { 403 };
    assert_eq!(status(), expected);
    shop.is_well();
}

#[test]
fn many_readers_each_get_every_byte() {
    let (shop, path) = Shop::with_track();
    let bytes = content(LENGTH);
    std::thread::scope(|scope| {
        for reader in 0..32_u64 {
            let (shop, path, bytes) = (&shop, &path, &bytes);
            scope.spawn(move || read_at_random(shop, path, bytes, reader));
        }
    });
    shop.is_well();
}

/// Forty ranges on one connection, some asked for before the one before was answered.
fn read_at_random(shop: &Shop, path: &str, bytes: &[u8], seed: u64) {
    let mut state = seed + 1;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut stream = connect(shop.daemon.address());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..20 {
        let ranges: Vec<_> = (0..2)
            .map(|_| {
                let first = random(LENGTH);
                first..(first + 1 + random(400_000)).min(LENGTH)
            })
            .collect();
        let text: String = ranges
            .iter()
            .map(|range| {
                let (first, last) = (range.start, range.end - 1);
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={first}-{last}\r\n\r\n")
            })
            .collect();
        stream.write_all(text.as_bytes()).unwrap();
        for range in ranges {
            let (status, headers) = read_head(&mut reader);
            let expected = format!("bytes {}-{}/{LENGTH}", range.start, range.end - 1);
            assert!(status == 206 && headers.contains(&("content-range".to_owned(), expected)));
            let mut body = vec![0; range.len()];
            reader.read_exact(&mut body).unwrap();
            assert!(body == bytes[range.clone()], "{range:?}");
        }
    }
}

#[test]
fn readers_that_do_not_read_hold_little() {
    let shop = Shop::new();
    shop.put("a.wav", &content(LARGE));
    let id = shop.id("a.wav");
    let one = UnderWay::begin(&shop, &id);
    let before = shop.memory();
    let waiting: Vec<UnderWay> = (0..50).map(|_| UnderWay::begin(&shop, &id)).collect();
    let each = shop.memory().saturating_sub(before) / waiting.len() as u64;
    assert!(each < 400_000, "{each} bytes for each reader that waits");
    drop((one, waiting));
    shop.is_well();
}

#[test]
fn what_is_not_in_memory_is_read_all_the_same() {
    let shop = Shop::new();
    let bytes = content(LARGE);
    let path = shop.put("a.wav", &bytes);
    let id = shop.id("a.wav");
    let file = File::open(&path).unwrap();
    file.sync_all().unwrap();
    // Throws clean pages out of the page cache, so that reading needs the disk.
    nix::fcntl::posix_fadvise(&file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    let answer = shop.ask("GET", &format!("/stream/{id}"), &[]);
    assert!(answer.status == 200 && answer.body == bytes);
}
