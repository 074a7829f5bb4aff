//! A client that speaks TLS and shows what it was shown.

use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;

use super::{Answer, Pair, Tls, read_head, shake};

/// A connection that speaks HTTP/1.1.
pub fn tls(address: SocketAddr, trusted: &Pair) -> Tls {
    shake(address, trusted, &["http/1.1"], rustls::ALL_VERSIONS).unwrap()
}

/// A request and the head of its answer.
pub fn ask_tls(mut stream: Tls, path: &str, headers: &str) -> (u16, Vec<(String, String)>, BufReader<Tls>) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let (status, headers) = read_head(&mut reader);
    (status, headers, reader)
}

/// One request, one answer, on a connection of its own.
pub fn get_tls(address: SocketAddr, trusted: &Pair, path: &str, headers: &str) -> Answer {
    let (status, headers, reader) = ask_tls(tls(address, trusted), path, headers);
    let mut answer = Answer { status, headers, body: Vec::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut answer.body).unwrap();
    answer
}
