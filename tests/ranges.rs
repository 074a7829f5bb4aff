//! The Range door of the real daemon: files of a library to the letter of RFC 9110.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufReader, Read};
use std::os::unix::fs::symlink;

use common::*;

/// What an answer must be: its status, and which bytes of the file it has.
enum Due {
    Whole,
    Part(std::ops::Range<usize>),
    Parts(&'static [std::ops::Range<usize>]),
    Unsatisfiable,
    NotModified,
    Failed,
}

/// A row: headers of the request (`TAG`, `DATE`, `BEFORE` and `AFTER` stand for what the file has), and
/// what is due.
type Row = (&'static [(&'static str, &'static str)], Due);

const BEFORE: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
const AFTER: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

fn table() -> Vec<Row> {
    let all = LENGTH;
    vec![
        (&[], Due::Whole),
        // Single ranges.
        (&[("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("Range", "bytes=0-0")], Due::Part(0..1)),
        (&[("Range", "bytes=0-")], Due::Part(0..all)),
        (&[("Range", "bytes=1-")], Due::Part(1..all)),
        (&[("Range", "bytes=65535-65536")], Due::Part(65_535..65_537)),
        (&[("Range", "bytes=65536-131071")], Due::Part(65_536..131_072)),
        (&[("Range", "bytes=262143-786433")], Due::Part(262_143..786_434)),
        (&[("Range", "bytes=1000002-")], Due::Part(all - 1..all)),
        (&[("Range", "bytes=1000002-1000002")], Due::Part(all - 1..all)),
        (&[("Range", "bytes=1000000-2000000")], Due::Part(1_000_000..all)),
        (&[("Range", "bytes=-1")], Due::Part(all - 1..all)),
        (&[("Range", "bytes=-128")], Due::Part(all - 128..all)),
        (&[("Range", "bytes=-1000003")], Due::Part(0..all)),
        (&[("Range", "bytes=-1000004")], Due::Part(0..all)),
        (&[("Range", "bytes=-18446744073709551616")], Due::Part(0..all)),
        (&[("Range", "bytes=5-18446744073709551615")], Due::Part(5..all)),
        (&[("Range", "bytes=5-18446744073709551616")], Due::Part(5..all)),
        (&[("Range", "bytes=5-99999999999999999999999999999999")], Due::Part(5..all)),
        (&[("Range", "bytes=007-010")], Due::Part(7..11)),
        (&[("Range", "BYTES=0-1")], Due::Part(0..2)),
        (&[("Range", "bytes=, 0-1 ,")], Due::Part(0..2)),
        (&[("range", "bytes=0-1")], Due::Part(0..2)),
        // Several.
        (&[("Range", "bytes=0-9,500-509")], Due::Parts(&[0..10, 500..510])),
        (&[("Range", "bytes=500-509 , 0-9")], Due::Parts(&[500..510, 0..10])),
        (
            &[("Range", "bytes=-5,0-4,400000-600000")],
            Due::Parts(&[999_998..1_000_003, 0..5, 400_000..600_001]),
        ),
        (&[("Range", "bytes=0-9,2000000-,500-509")], Due::Parts(&[0..10, 500..510])),
        (&[("Range", "bytes=0-9,2000000-")], Due::Part(0..10)),
        (&[("Range", "bytes=0-9,5-20,15-30")], Due::Part(0..31)),
        (&[("Range", "bytes=0-,0-,0-,0-,0-,0-")], Due::Part(0..all)),
        (&[("Range", "bytes=0-9,20-29")], Due::Part(0..30)),
        // Nothing of it is there.
        (&[("Range", "bytes=1000003-")], Due::Unsatisfiable),
        (&[("Range", "bytes=1000003-1000004")], Due::Unsatisfiable),
        (&[("Range", "bytes=-0")], Due::Unsatisfiable),
        (&[("Range", "bytes=2000000-,3000000-3000001,-0")], Due::Unsatisfiable),
        (&[("Range", "bytes=18446744073709551615-")], Due::Unsatisfiable),
        (&[("Range", "bytes=99999999999999999999999-")], Due::Unsatisfiable),
        // No range set at all.
        (&[("Range", "")], Due::Whole),
        (&[("Range", "bytes")], Due::Whole),
        (&[("Range", "bytes=")], Due::Whole),
        (&[("Range", "bytes=-")], Due::Whole),
        (&[("Range", "bytes=5-4")], Due::Whole),
        (&[("Range", "bytes=0-1,5-4")], Due::Whole),
        (&[("Range", "bytes=a-b")], Due::Whole),
        (&[("Range", "bytes=0x0-0x1")], Due::Whole),
        (&[("Range", "bytes=-1-2")], Due::Whole),
        (&[("Range", "bytes=0 - 1")], Due::Whole),
        (&[("Range", "bytes=0-1;2-3")], Due::Whole),
        (&[("Range", "seconds=0-1")], Due::Whole),
        (&[("Range", "bytes: 0-1")], Due::Whole),
        (&[("Range", "bytes=\u{ff}-1")], Due::Whole),
        (&[("Range", "bytes=0-1"), ("Range", "bytes=2-3")], Due::Whole),
        // Conditions, alone and in the RFC's order.
        (&[("If-Match", "TAG")], Due::Whole),
        (&[("If-Match", "\"x\" , TAG"), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Match", "*"), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Match", "W/TAG")], Due::Failed),
        (&[("If-Match", "\"x\""), ("If-None-Match", "TAG")], Due::Failed),
        (&[("If-Match", "TAG"), ("If-Unmodified-Since", BEFORE)], Due::Whole),
        (&[("If-Unmodified-Since", "DATE"), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Unmodified-Since", BEFORE), ("Range", "bytes=0-1")], Due::Failed),
        (&[("If-None-Match", "TAG")], Due::NotModified),
        (&[("If-None-Match", "\"x\""), ("If-None-Match", "W/TAG")], Due::NotModified),
        (&[("If-None-Match", "*"), ("Range", "bytes=0-1")], Due::NotModified),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", "DATE")], Due::Whole),
        (&[("If-Modified-Since", "DATE")], Due::NotModified),
        (&[("If-Modified-Since", AFTER), ("Range", "bytes=0-1")], Due::NotModified),
        (&[("If-Modified-Since", BEFORE), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Modified-Since", "soon")], Due::Whole),
        (&[("If-Range", "TAG"), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Range", "W/TAG"), ("Range", "bytes=0-1")], Due::Whole),
        (&[("If-Range", "\"x\""), ("Range", "bytes=0-1")], Due::Whole),
        (&[("If-Range", "DATE"), ("Range", "bytes=0-1")], Due::Part(0..2)),
        (&[("If-Range", BEFORE), ("Range", "bytes=0-1")], Due::Whole),
        (&[("If-Range", AFTER), ("Range", "bytes=0-1")], Due::Whole),
        (&[("If-Range", "\"x\""), ("Range", "bytes=2000000-")], Due::Whole),
        (&[("If-Range", "TAG"), ("Range", "bytes=2000000-")], Due::Unsatisfiable),
        (&[("If-Range", "TAG")], Due::Whole),
        (&[("If-Match", "TAG"), ("If-Range", "\"x\""), ("Range", "bytes=0-1")], Due::Whole),
    ]
}

#[test]
fn the_conformance_table() {
    let (shop, path) = Shop::with_track();
    let bytes = content(LENGTH);
    let head = shop.ask("HEAD", &path, &[]);
    let (tag, date) = (head.header("etag").unwrap(), head.header("last-modified").unwrap());
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
    for (headers, due) in table() {
        let headers: Vec<(&str, String)> = headers
            .iter()
            .map(|(name, value)| (*name, value.replace("TAG", tag).replace("DATE", date)))
            .collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = shop.ask("GET", &path, &headers);
        let row = format!("{headers:?}: {} {:?}", answer.status, answer.headers);
        check(&answer, &due, &bytes, &row);
        if !matches!(due, Due::Failed | Due::Unsatisfiable) {
            assert_eq!(answer.header("etag"), Some(tag), "{row}");
            assert_eq!(answer.header("last-modified"), Some(date), "{row}");
        }
    }
}

fn check(answer: &Answer, due: &Due, bytes: &[u8], row: &str) {
    let length = bytes.len();
    let content_range =
        |range: &std::ops::Range<usize>| format!("bytes {}-{}/{length}", range.start, range.end - 1);
    match due {
        Due::Whole => {
            assert_eq!((answer.status, answer.header("content-range")), (200, None), "{row}");
            assert!(answer.body == bytes, "{row}");
        }
        Due::Part(range) => {
            assert_eq!(answer.status, 206, "{row}");
            assert_eq!(answer.header("content-range"), Some(content_range(range).as_str()), "{row}");
            assert!(answer.body == bytes[range.clone()], "{row}");
        }
        Due::Parts(ranges) => {
            assert_eq!((answer.status, answer.header("content-range")), (206, None), "{row}");
            let parts = parts(answer);
            assert_eq!(parts.len(), ranges.len(), "{row}");
            for (part, range) in parts.iter().zip(*ranges) {
                assert_eq!(part.content_range, content_range(range), "{row}");
                assert_eq!(part.content_type, "audio/mpeg", "{row}");
                assert!(part.body == bytes[range.clone()], "{row}");
            }
        }
        Due::Unsatisfiable => {
            assert_eq!(answer.status, 416, "{row}");
            assert_eq!(answer.header("content-range"), Some(format!("bytes */{length}").as_str()), "{row}");
            assert_eq!(answer.json()["code"], "range_not_satisfiable", "{row}");
        }
        Due::NotModified => {
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{row}");
            assert!(answer.header("cache-control").is_some(), "{row}");
            return;
        }
        Due::Failed => {
            assert_eq!(answer.status, 412, "{row}");
            assert_eq!(answer.json()["code"], "precondition_failed", "{row}");
            return;
        }
    }
    assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{row}");
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{row}");
}

struct Part {
    content_type: String,
    content_range: String,
    body: Vec<u8>,
}

/// Takes a `multipart/byteranges` body apart as RFC 2046 has it. Lengths come from `Content-Range`, so
/// that a boundary inside the sound would be no boundary.
fn parts(answer: &Answer) -> Vec<Part> {
    let kind = answer.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut rest = answer.body.as_slice();
    let mut parts = Vec::new();
    loop {
        let line = format!("--{boundary}");
        rest = rest.strip_prefix(line.as_bytes()).unwrap();
        if rest == b"--\r\n" {
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").unwrap();
        let mut reader = BufReader::with_capacity(1, rest);
        let headers = read_headers(&mut reader);
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let content_range = header("content-range");
        let (first, last) = content_range
            .strip_prefix("bytes ")
            .and_then(|range| range.split('/').next()?.split_once('-'))
            .unwrap();
        let length = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut line_end = [0; 2];
        reader.read_exact(&mut line_end).unwrap();
        assert_eq!(&line_end, b"\r\n");
        let taken = answer.body.len() - reader.buffer().len() - reader.get_ref().len();
        rest = &answer.body[taken..];
        parts.push(Part { content_type: header("content-type"), content_range, body });
    }
}

fn read_headers(reader: &mut impl std::io::BufRead) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { return headers };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let (shop, path) = Shop::with_track();
    for headers in
        [&[][..], &[("If-None-Match", "*")], &[("If-Match", "\"x\"")], &[("If-Modified-Since", AFTER)]]
    {
        let (get, head) = (shop.ask("GET", &path, headers), shop.ask("HEAD", &path, headers));
        let kept = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            // What is left of a limit is less after each of them.
            headers.retain(|(name, _)| {
                !["date", "ratelimit-remaining", "ratelimit-reset"].contains(&name.as_str())
            });
            headers
        };
        assert_eq!((get.status, kept(&get)), (head.status, kept(&head)), "{headers:?}");
        assert_eq!(head.body.len(), 0, "{headers:?}");
    }
    // Ranges are defined for GET alone.
    let head = shop.ask("HEAD", &path, &[("Range", "bytes=0-1")]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000003")));
    assert_eq!(shop.ask("POST", &path, &[]).status, 405);
}

#[test]
fn every_kind_of_sound_has_its_media_type_and_its_name() {
    let shop = Shop::new();
    let kinds = [
        ("a.mp3", "audio/mpeg"),
        ("a.aac", "audio/aac"),
        ("a.m4a", "audio/mp4"),
        ("a.flac", "audio/flac"),
        ("a.wav", "audio/wav"),
        ("a.ogg", "audio/ogg"),
        ("a.opus", "audio/ogg; codecs=opus"),
        ("a.aiff", "audio/aiff"),
        ("a.AIF", "audio/aiff"),
        ("deep/er/Grüße \"1\".MP3", "audio/mpeg"),
    ];
    kinds.iter().for_each(|(name, _)| drop(shop.put(name, name.as_bytes())));
    for hidden in [".a.mp3", ".deep/a.mp3", "a.txt", "index.html", "a.mp3.part"] {
        shop.put(hidden, b"not a track");
    }
    eventually("all tracks", || Some(()).filter(|()| shop.daemon.get("/tracks")["total"] == kinds.len()));
    for (path, media_type) in kinds {
        let answer = shop.ask("GET", &format!("/stream/{}", shop.id(path)), &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, path));
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-disposition").unwrap().starts_with("inline; filename=\""));
    }
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("deep/er/Grüße \"1\".MP3")), &[]);
    assert_eq!(
        answer.header("content-disposition"),
        Some("inline; filename=\"Gr__e _1_.MP3\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.MP3")
    );
}

#[test]
fn the_library_comes_in_pages() {
    let shop = Shop::new();
    (0..25).for_each(|n| drop(shop.put(&format!("{n:02}.flac"), &vec![0; n])));
    eventually("all tracks", || Some(()).filter(|()| shop.daemon.get("/tracks")["total"] == 25));
    let mut seen = Vec::new();
    let mut query = "?limit=10".to_owned();
    loop {
        let page = shop.daemon.get(&format!("/tracks{query}"));
        assert_eq!(page["total"], 25);
        seen.extend(page["tracks"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=10&after={next}");
    }
    assert_eq!(seen.len(), 25);
    for (n, track) in seen.iter().enumerate() {
        let name = format!("{n:02}.flac");
        assert_eq!(
            (&track["name"], &track["path"], &track["mime"]),
            (&name.clone().into(), &name.into(), &"audio/flac".into())
        );
        assert_eq!((&track["title"], &track["size_bytes"]), (&format!("{n:02}").into(), &n.into()));
        let age_ms = jiff::Timestamp::now().as_millisecond() - track["modified_ms"].as_i64().unwrap();
        assert!((0..60_000).contains(&age_ms), "{age_ms}");
    }
    for nonsense in ["limit=0", "limit=1001", "limit=x", "after=x", "after=%00", "limit=1&limit=2"] {
        let answer = shop.daemon.get_any(&format!("/tracks?{nonsense}"));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid_query".into()), "{nonsense}");
    }
}

#[test]
fn no_path_leads_out() {
    let (shop, path) = Shop::with_track();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.mp3"), "secret").unwrap();
    symlink(outside.path().join("secret.mp3"), shop.music.join("out.mp3")).unwrap();
    symlink(outside.path(), shop.music.join("outside")).unwrap();
    symlink("/etc/passwd", shop.music.join("passwd.mp3")).unwrap();
    symlink("a.mp3", shop.music.join("inside.mp3")).unwrap();
    shop.id("inside.mp3");
    assert_eq!(shop.daemon.get("/tracks")["total"], 2, "links that lead out are no tracks");
    let id = path.strip_prefix("/stream/").unwrap();
    let capitals = id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A");
    for tail in [
        "",
        "/",
        ".",
        "..",
        "../",
        "../a.mp3",
        "../../../../etc/passwd",
        "%2e%2e",
        "%2e%2e/%2e%2e/etc/passwd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2fa.mp3",
        "..%5ca.mp3",
        "%252e%252e%252f",
        "a.mp3",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "etc/passwd",
        "file:///etc/passwd",
        "http://localhost/",
        "%00",
        "a.mp3%00",
        "%c0%ae%c0%ae%c0%af",
        "%ef%bc%8e%ef%bc%8e",
        "\u{ff0e}\u{ff0e}",
        "%",
        "%zz",
        &capitals,
        &id[1..],
        &format!("{id}0"),
        &format!("{id}/"),
        &format!("{id}/.."),
        &format!("./{id}"),
        &format!("../stream/{id}"),
        &format!("x/../{id}"),
        &format!("{id}%00"),
        &format!("{id}%2f.."),
        &format!("%{:02x}{}", id.as_bytes()[0], &id[1..]),
        &"0".repeat(32),
        &"a".repeat(60_000),
    ] {
        let answer = shop.ask("GET", &format!("/stream/{tail}"), &[]);
        assert!(matches!(answer.status, 400 | 404 | 414), "{tail}: {}", answer.status);
        assert!(!answer.text().contains("root:") && !answer.text().contains("secret"), "{tail}");
    }
    for raw in ["GET /stream/../../etc/passwd\0 HTTP/1.1\r\n", "GET stream/../etc/passwd HTTP/1.1\r\n"] {
        assert_eq!(shop.send(raw.to_owned(), &[]).status, 400, "{raw:?}");
    }
    assert_eq!(shop.ask("GET", &format!("{path}?x=../../etc/passwd"), &[]).status, 200, "a query is no path");
    shop.is_well();
}

#[test]
fn an_old_client_and_a_page_are_served() {
    let (shop, path) = Shop::with_track();
    let bytes = content(LENGTH);
    let address = shop.daemon.address();
    let answer = exchange(address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    assert!(answer.status == 200 && answer.body == bytes);
    let answer = exchange(address, format!("GET {path} HTTP/1.0\r\nRange: bytes=-7\r\n\r\n").as_bytes());
    assert!(answer.status == 206 && answer.body == bytes[LENGTH - 7..]);
    let answer = shop.ask("GET", &path, &[("Origin", "http://localhost:3000"), ("Range", "bytes=0-1")]);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(
        ["content-range", "etag", "accept-ranges"].iter().all(|name| exposed.contains(name)),
        "{exposed}"
    );
}

#[test]
fn a_crowd_of_ranges_gets_the_whole_file_once() {
    let (shop, path) = Shop::with_track();
    let list = |count: usize| (0..count).map(|n| format!("{}-{}", n * 200, n * 200 + 1)).collect::<Vec<_>>();
    let ask = |list: Vec<String>| shop.ask("GET", &path, &[("Range", &format!("bytes={}", list.join(",")))]);
    let answer = ask(list(64));
    assert_eq!((answer.status, parts(&answer).len()), (206, 64));
    let answer = ask(list(65));
    assert!(answer.status == 200 && answer.body == content(LENGTH));
    let answer = ask(vec!["0-".to_owned(); 5000]);
    assert!(answer.status == 200 && answer.body.len() == LENGTH);
}

#[test]
fn reload_exchanges_the_library() {
    let (shop, path) = Shop::with_track();
    let other = shop.daemon.dir().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("b.mp3"), "b").unwrap();
    let config = shop.daemon.dir().join("talasd.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[\"music\"]", "[\"other\"]")).unwrap();
    let output = shop.daemon.ctl(&["--json", "reload"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("library.dirs"), "{output:?}");
    assert_eq!(shop.ask("GET", &path, &[]).status, 404);
    let answer = shop.ask("GET", &format!("/stream/{}", shop.id("b.mp3")), &[]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "b"));
}
