//! Just enough of HTTP/2 to ask questions without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::{PATIENCE, connect};

/// The preface; SETTINGS with a window of 16 MiB for each stream; WINDOW_UPDATE for all of them.
pub const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x01\x00\x00\x00";
/// `:status: 200` in HPACK's static table.
pub const STATUS_200: u8 = 0x88;
const HEADERS: u8 = 1;
const DATA: u8 = 0;

fn field(name_index: u8, value: &str) -> Vec<u8> {
    [&[name_index, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// A `GET`, whole, on a stream of this number.
fn question(stream: u8, host: &str, path: &str) -> Vec<u8> {
    // :method GET, :scheme http, :path, :authority
    let block = [vec![0x82, 0x86], field(4, path), field(1, host)].concat();
    // END_STREAM and END_HEADERS.
    let head = vec![0, 0, u8::try_from(block.len()).unwrap(), HEADERS, 5, 0, 0, 0, stream];
    [head, block].concat()
}

/// The next frame: its type and what it holds.
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let mut frame = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut frame).unwrap();
    (head[3], frame)
}

/// Returns the raw head and the body so far, as soon as that is enough.
pub fn get(address: SocketAddr, host: &str, path: &str, enough: impl Fn(&str) -> bool) -> (Vec<u8>, String) {
    let mut stream = connect(address);
    stream.write_all(&[HELLO, &question(1, host, path)].concat()).unwrap();
    let (mut answer, mut body) = (Vec::new(), String::new());
    let deadline = Instant::now() + PATIENCE;
    while !enough(&body) {
        assert!(Instant::now() < deadline, "{body}");
        match frame(&mut stream) {
            (HEADERS, head) => answer = head,
            (DATA, bytes) => body.push_str(std::str::from_utf8(&bytes).unwrap()),
            _ => {}
        }
    }
    (answer, body)
}

/// Asks the same so many times over one connection, at most 100 times; how many answers are 200.
pub fn count_ok(address: SocketAddr, path: &str, times: u8) -> usize {
    let mut stream = connect(address);
    stream.write_all(HELLO).unwrap();
    let mut ok = 0;
    for number in 0..times {
        stream.write_all(&question(2 * number + 1, &address.to_string(), path)).unwrap();
        let head = loop {
            if let (HEADERS, head) = frame(&mut stream) {
                break head;
            }
        };
        // A change of the table's size may stand before it (RFC 7541, 6.3).
        let status = head.iter().find(|byte| **byte & 0xe0 != 0x20);
        ok += usize::from(status == Some(&STATUS_200));
    }
    ok
}
