//! A WebSocket client (RFC 6455) that shows everything: frames as they come, and packets by the documented
//! header.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::{Answer, connect, read_head};

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Text(Value),
    Packet(LivePacket),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason.
    Close(u16, String),
}

/// A packet, read by the table in the documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePacket {
    pub codec: u8,
    pub flags: u8,
    pub channels: u8,
    pub frames: u16,
    pub skip: u16,
    pub sequence: u64,
    pub position: u64,
    pub captured_us: u64,
    pub sound: Vec<u8>,
}

impl LivePacket {
    pub fn read(bytes: &[u8]) -> Self {
        let two = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        let eight = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(bytes[0], 1, "version of the header");
        Self {
            codec: bytes[1],
            flags: bytes[2],
            channels: bytes[3],
            frames: two(4),
            skip: two(6),
            sequence: eight(8),
            position: eight(16),
            captured_us: eight(24),
            sound: bytes[32..].to_vec(),
        }
    }

    pub fn is_start(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// An open WebSocket.
pub struct LiveSocket {
    reader: BufReader<TcpStream>,
    pub headers: Vec<(String, String)>,
}

impl LiveSocket {
    /// Opens it; the answer if it is refused.
    pub fn try_open(address: SocketAddr, path: &str, headers: &str) -> Result<Self, Answer> {
        let mut stream = connect(address);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        if status == 101 {
            return Ok(Self { reader, headers });
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_end(&mut answer.body).unwrap();
        Err(answer)
    }

    /// Opens it.
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::try_open(address, path, "").unwrap_or_else(|answer| panic!("{path}: {}", answer.text()))
    }

    /// Its connection.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// What comes next; `None` when the connection ends without a word.
    pub fn next(&mut self) -> Option<Said> {
        let mut head = [0; 2];
        self.reader.read_exact(&mut head).ok()?;
        assert_eq!(head[0] & 0x80, 0x80, "whole messages");
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let length = match head[1] & 0x7f {
            126 => {
                let mut length = [0; 2];
                self.reader.read_exact(&mut length).ok()?;
                u16::from_be_bytes(length).into()
            }
            127 => panic!("longer than any packet"),
            length => usize::from(length),
        };
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(match head[0] & 0x0f {
            1 => Said::Text(serde_json::from_slice(&bytes).unwrap()),
            2 => Said::Packet(LivePacket::read(&bytes)),
            8 => {
                let reason = String::from_utf8(bytes[2..].to_vec()).unwrap();
                Said::Close(u16::from_be_bytes([bytes[0], bytes[1]]), reason)
            }
            9 => Said::Ping(bytes),
            10 => Said::Pong(bytes),
            other => panic!("opcode {other}"),
        })
    }

    /// The next text with this type, whatever comes before.
    pub fn text(&mut self, kind: &str) -> Value {
        loop {
            match self.next().unwrap_or_else(|| panic!("the end, and no {kind}")) {
                Said::Text(text) if text["type"] == kind => return text,
                Said::Close(code, reason) => panic!("closed by {code} {reason}, and no {kind}"),
                _ => {}
            }
        }
    }

    /// The next packet, whatever comes before.
    pub fn packet(&mut self) -> LivePacket {
        loop {
            if let Said::Packet(packet) = self.next().expect("the stream goes on") {
                return packet;
            }
        }
    }

    /// What comes until the connection ends.
    pub fn until_end(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Says something, as a client has to: masked.
    pub fn say(&mut self, opcode: u8, bytes: &[u8]) {
        let mask = [0x12, 0x34, 0x56, 0x78];
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(bytes.len()) {
            Ok(length @ 0..=125) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        // The other side may have left.
        let _ = self.reader.get_mut().write_all(&frame);
    }
}
