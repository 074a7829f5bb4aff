//! A player of live streams that keeps what it got, and what independent readers make of that.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{PATIENCE, connect, read_head};

/// Somebody who listens to a live stream.
pub struct Player {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    reader: BufReader<TcpStream>,
}

impl Player {
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::with(address, path, "")
    }

    /// With further lines in the head of its request.
    pub fn with(address: SocketAddr, path: &str, lines: &str) -> Self {
        Self::on(connect(address), &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n"))
    }

    /// On this connection, with this request.
    pub fn on(mut stream: TcpStream, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        Self { status, headers, body: Vec::new(), reader }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Listens until so many bytes of the stream are there.
    pub fn listen(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.body.len());
        let got = (&mut self.reader).take(missing as u64).read_to_end(&mut self.body).unwrap();
        assert_eq!(got, missing, "the stream goes on");
    }

    /// Listens for a time.
    pub fn listen_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut piece = vec![0; 65_536];
        while Instant::now() < end {
            let count = self.reader.read(&mut piece).unwrap();
            assert!(count > 0, "the stream goes on");
            self.body.extend_from_slice(&piece[..count]);
        }
    }

    /// Listens to the end, however the connection ends.
    pub fn listen_to_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut piece = vec![0; 65_536];
        while let Ok(count) = self.reader.read(&mut piece) {
            if count == 0 {
                return;
            }
            self.body.extend_from_slice(&piece[..count]);
            assert!(Instant::now() < deadline, "the stream ends");
        }
    }

    /// Whether the connection is gone.
    pub fn has_ended(&mut self) -> bool {
        let mut piece = [0; 65_536];
        !matches!(self.reader.read(&mut piece), Ok(1..))
    }
}

/// A frame of MP3, as its header says (ISO/IEC 11172-3, 2.4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mp3Frame {
    pub bitrate_kbps: u32,
    pub sample_rate: u32,
    pub bytes: usize,
}

/// Frames of MP3 from the first byte to the last; whole frames and nothing else.
pub fn mp3_frames(stream: &[u8]) -> Vec<Mp3Frame> {
    let (frames, whole) = parse_mp3(stream);
    assert_eq!(whole, stream.len(), "{} whole frames and nothing else", frames.len());
    frames
}

/// The beginning of a stream that holds whole frames of MP3; what is left is a part of one.
pub fn whole_mp3(stream: &[u8]) -> &[u8] {
    let (frames, whole) = parse_mp3(stream);
    assert!(
        stream.len() - whole < 1500,
        "after {} frames, {} bytes are none",
        frames.len(),
        stream.len() - whole
    );
    &stream[..whole]
}

/// Frames of MP3, and how many bytes they are.
fn parse_mp3(stream: &[u8]) -> (Vec<Mp3Frame>, usize) {
    const V1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const V2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let (mut frames, mut whole) = (Vec::new(), 0);
    while let Some(stream) = stream.get(whole..).filter(|rest| rest.len() >= 4) {
        if stream[0] != 0xff || stream[1] & 0xe6 != 0xe2 {
            break;
        }
        let is_v1 = stream[1] & 0x18 == 0x18;
        let index = usize::from(stream[2] >> 4);
        let bitrate_kbps = if is_v1 { V1[index] } else { V2[index] };
        let base = [44_100, 48_000, 32_000][usize::from(stream[2] >> 2 & 3)];
        let sample_rate = if is_v1 { base } else { base / 2 };
        let frames_per_byte = if is_v1 { 144_000 } else { 72_000 };
        let bytes = (frames_per_byte * bitrate_kbps / sample_rate + u32::from(stream[2] >> 1 & 1)) as usize;
        if stream.len() < bytes {
            break;
        }
        frames.push(Mp3Frame { bitrate_kbps, sample_rate, bytes });
        whole += bytes;
    }
    (frames, whole)
}

/// Sound and titles of a stream with ICY metadata, as a player takes it apart: each title with the number
/// of bytes of sound before it.
pub fn parse_icy(stream: &[u8], interval: usize) -> (Vec<u8>, Vec<(usize, String)>) {
    let (mut sound, mut titles) = (Vec::new(), Vec::new());
    let mut bytes = stream.iter().copied();
    loop {
        let piece: Vec<u8> = bytes.by_ref().take(interval).collect();
        sound.extend_from_slice(&piece);
        let Some(sixteens) = bytes.next() else { return (sound, titles) };
        let block: Vec<u8> = bytes.by_ref().take(usize::from(sixteens) * 16).collect();
        if block.len() < usize::from(sixteens) * 16 {
            return (sound, titles);
        }
        if sixteens > 0 {
            let text = String::from_utf8(block).unwrap();
            let text = text.trim_end_matches('\0');
            let title = text.strip_prefix("StreamTitle='").and_then(|rest| rest.split("';").next());
            titles.push((sound.len(), title.expect("a title").to_owned()));
        }
    }
}

/// The level of a tone against everything else in a sound, in dB: what is left of the sound when the sine
/// that fits best is taken out.
pub fn tone_to_rest_db(samples: &[f32], sample_rate: u32, frequency: f64) -> f64 {
    let step = std::f64::consts::TAU * frequency / f64::from(sample_rate);
    let (mut ss, mut sc, mut cc, mut xs, mut xc, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (x, (s, c)) = (f64::from(*sample), (step * n as f64).sin_cos());
        ss += s * s;
        sc += s * c;
        cc += c * c;
        xs += x * s;
        xc += x * c;
        xx += x * x;
    }
    // Least squares of two unknowns.
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant);
    let tone = a * xs + b * xc;
    10.0 * (tone / (xx - tone).max(1e-12)).log10()
}
