//! Several requests over one connection: the short way of a player's repeated requests answers what the long
//! way would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::*;

/// One connection that several requests go over.
struct Line(BufReader<TcpStream>);

impl Line {
    fn to(shop: &Shop) -> Self {
        Self(BufReader::new(connect(shop.daemon.address())))
    }

    fn say(&mut self, requests: &str) {
        self.0.get_mut().write_all(requests.as_bytes()).unwrap();
    }

    /// The next answer: its headers without those of the moment and the range, and its body.
    fn hear(&mut self) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let (status, mut headers) = read_head(&mut self.0);
        let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
        let of_the_moment =
            ["date", "content-length", "content-range", "ratelimit-remaining", "ratelimit-reset"];
        headers.retain(|(name, _)| !of_the_moment.contains(&name.as_str()));
        // A tag is weak as long as the file is young.
        for (_, value) in headers.iter_mut().filter(|(name, _)| name == "etag") {
            *value = value.trim_start_matches("W/").to_owned();
        }
        headers.sort();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, headers, body)
    }
}

fn for_range(path: &str, first: usize, last: usize, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={first}-{last}\r\n{more}\r\n")
}

#[test]
fn the_same_words_again_get_the_same_answer_for_another_range() {
    let (shop, path) = Shop::with_track();
    let bytes = content(LENGTH);
    // With a header about the connection it is answered by the HTTP library, without by the short way.
    for more in ["", "Origin: http://localhost:3000\r\n"] {
        let mut long = Line::to(&shop);
        long.say(&for_range(&path, 0, 9, &format!("{more}TE: trailers\r\n")));
        let (_, due, _) = long.hear();
        let mut line = Line::to(&shop);
        for (first, last) in [(0, 9), (5, 5), (500_000, 1_000_000), (17, 400_000), (1_000_002, 9_999_999)] {
            line.say(&for_range(&path, first, last, more));
            let (status, headers, body) = line.hear();
            assert_eq!((status, &headers), (206, &due), "{first}-{last}");
            assert!(body == bytes[first..(last + 1).min(LENGTH)], "{first}-{last}");
        }
    }
}

#[test]
fn whatever_comes_on_the_line_of_a_player_is_answered_in_order() {
    let (shop, path) = Shop::with_track();
    let bytes = content(LENGTH);
    let mut line = Line::to(&shop);
    let many: String = (0..20).map(|n| for_range(&path, n, 2 * n, "")).collect();
    line.say(&many);
    for n in 0..20 {
        assert!(line.hear().2 == bytes[n..=2 * n], "request {n}");
    }
    for (said, status) in [("bytes=9999999-", 416), ("bytes=0-0,5000-5000", 206), ("apples=1", 200)] {
        let mut line = Line::to(&shop);
        line.say(&for_range(&path, 3, 4, ""));
        assert_eq!(line.hear().2, bytes[3..=4]);
        line.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: {said}\r\n\r\n"));
        assert_eq!(line.hear().0, status, "{said}");
        // And the line goes on.
        line.say(&for_range(&path, 5, 6, ""));
        assert_eq!(line.hear().2, bytes[5..=6], "after {said}");
    }
    let mut line = Line::to(&shop);
    line.say(&for_range(&path, 3, 4, ""));
    assert_eq!(line.hear().0, 206);
    line.say(&for_range(&path, 3, 4, "").replace("localhost", "elsewhere.test"));
    assert_eq!(line.hear().0, 403, "the rules hold for every request");
}

#[test]
fn a_request_in_pieces_is_one_request() {
    let (shop, path) = Shop::with_track();
    let mut line = Line::to(&shop);
    for piece in for_range(&path, 3, 4, "").as_bytes().chunks(20) {
        line.say(str::from_utf8(piece).unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(line.hear().2, content(LENGTH)[3..=4]);
}

#[test]
fn a_file_that_is_exchanged_between_two_requests_is_another() {
    let shop = Shop::new();
    shop.put("a.mp3", &[b'a'; 1000]);
    let path = format!("/stream/{}", shop.id("a.mp3"));
    let mut line = Line::to(&shop);
    let ask = |line: &mut Line| {
        line.say(&for_range(&path, 0, 1999, ""));
        let (status, headers, body) = line.hear();
        assert_eq!(status, 206);
        (headers.into_iter().find(|(name, _)| name == "etag").unwrap().1, body)
    };
    let (first_tag, first) = ask(&mut line);
    assert_eq!(first, [b'a'; 1000]);
    shop.put("a.mp3", &[b'b'; 1500]);
    let (second_tag, second) = ask(&mut line);
    assert_eq!(second, [b'b'; 1500]);
    assert_ne!(first_tag, second_tag);
}
