//! A client of the live stream that checks the stream's own laws as it reads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{PATIENCE, connect, read_head};

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: String,
    pub at: Instant,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

/// An `audio-frame`, decoded.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    pub number: u64,
    pub position: u64,
    pub sample_rate: u64,
    pub duration_ms: f64,
    pub timestamp: u64,
    pub a: Vec<f32>,
    pub b: Vec<f32>,
}

impl AudioFrame {
    pub fn of(event: &Event) -> Self {
        let value = if event.data.starts_with('{') { event.json() } else { inflate(&event.data) };
        let number = value["frame_number"].as_u64().unwrap();
        assert_eq!(event.id.as_deref(), Some(format!("frame-{number}").as_str()));
        let encoding = value["encoding"].as_str().unwrap_or("json");
        Self {
            number,
            position: value["position"].as_u64().unwrap(),
            sample_rate: value["sample_rate"].as_u64().unwrap(),
            duration_ms: value["duration_ms"].as_f64().unwrap(),
            timestamp: value["timestamp"].as_u64().unwrap(),
            a: samples(&value["channel_a"], encoding),
            b: samples(&value["channel_b"], encoding),
        }
    }

    /// Captured frames that it stands for, at this capture rate.
    pub fn captured(&self, rate: u32) -> u64 {
        (self.duration_ms * f64::from(rate) / 1000.0).round() as u64
    }
}

fn inflate(data: &str) -> Value {
    let packed = STANDARD.decode(data).unwrap();
    let mut json = Vec::new();
    flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn samples(value: &Value, encoding: &str) -> Vec<f32> {
    let bytes = || STANDARD.decode(value.as_str().unwrap()).unwrap();
    match encoding {
        "json" => value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect(),
        "f32" => bytes().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "s16" => {
            bytes().as_chunks::<2>().0.iter().map(|b| f32::from(i16::from_le_bytes(*b)) / 32_768.0).collect()
        }
        other => panic!("unknown encoding {other}"),
    }
}

/// A live stream, read event by event.
pub struct Sse {
    reader: BufReader<TcpStream>,
    pub headers: Vec<(String, String)>,
    pub id: String,
    chunk: Vec<u8>,
    next: Option<(u64, u64)>,
    rate: u32,
    skips: bool,
    /// Events on request, in order.
    pub extra: Vec<Event>,
}

impl Sse {
    /// Opens a stream and reads its first event.
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_with(address, path, "")
    }

    /// The same for a client that had this event last.
    pub fn resume(address: SocketAddr, path: &str, last_event_id: &str) -> Self {
        Self::open_with(address, path, &format!("Last-Event-ID: {last_event_id}\r\n"))
    }

    /// The same with these header lines, each with its line end.
    pub fn open_with(address: SocketAddr, path: &str, headers: &str) -> Self {
        Self::over(Self::ask(address, path, headers))
    }

    /// Asks, and does not wait for the answer.
    pub fn ask(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
        let mut stream = connect(address);
        let accept = "Accept: text/event-stream\r\n";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{accept}{headers}\r\n").unwrap();
        stream
    }

    /// Reads the answer's head and the first event.
    pub fn over(stream: TcpStream) -> Self {
        let mut reader = BufReader::with_capacity(256 * 1024, stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200);
        let mut sse = Self {
            reader,
            headers,
            id: String::new(),
            chunk: Vec::new(),
            next: None,
            rate: 48_000,
            skips: false,
            extra: Vec::new(),
        };
        let first = sse.event().expect("a first event");
        assert_eq!(first.data, "connected");
        sse.id = first.id.expect("the connection's id");
        sse
    }

    /// The listener asked for few blocks: numbers may jump without a gap.
    pub fn skipping(mut self) -> Self {
        self.skips = true;
        self
    }

    /// What the listener expects first, from an earlier connection.
    pub fn expecting(mut self, after: &AudioFrame) -> Self {
        self.next = Some((after.number + 1, after.position + after.captured(self.rate)));
        self
    }

    /// The programme's capture rate, if it is not 48 kHz.
    pub fn at_rate(mut self, rate: u32) -> Self {
        self.rate = rate;
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn set_read_timeout(&self, timeout: Duration) {
        self.reader.get_ref().set_read_timeout(Some(timeout)).unwrap();
    }

    /// The bare connection.
    pub fn into_inner(self) -> TcpStream {
        self.reader.into_inner()
    }

    /// The next event; `None` at the end of the stream.
    pub fn event(&mut self) -> Option<Event> {
        let mut event =
            Event { name: "message".to_owned(), id: None, data: String::new(), at: Instant::now() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                event.at = Instant::now();
                return Some(event);
            }
            let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
            match field {
                "event" => event.name = value.to_owned(),
                "id" => event.id = Some(value.to_owned()),
                "data" => event.data = value.to_owned(),
                "retry" => assert!(value.parse::<u32>().is_ok()),
                _ => panic!("unknown field {line:?}"),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let rest = self.chunk.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.chunk, rest);
                line.pop();
                return Some(String::from_utf8(line).unwrap());
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).expect("a chunk in time");
            let size = usize::from_str_radix(size.trim_end(), 16).ok().filter(|size| *size > 0)?;
            let from = self.chunk.len();
            self.chunk.resize(from + size + 2, 0);
            self.reader.read_exact(&mut self.chunk[from..]).ok()?;
            self.chunk.truncate(from + size);
        }
    }

    /// The next event that counts (heartbeats do not), with the law of numbers checked: each block and
    /// each gap begins exactly where the one before ended.
    pub fn next(&mut self) -> Option<Heard> {
        loop {
            let event = self.event()?;
            let heard = match event.name.as_str() {
                "audio-frame" => Heard::Frame(AudioFrame::of(&event)),
                "gap" => Heard::Gap(event.json()),
                "state" => Heard::State(event.json()["state"].as_str().unwrap().to_owned(), event.at),
                "heartbeat" => continue,
                "meters" | "quality" | "audio-quality" | "spectrum" => {
                    self.extra.push(event);
                    continue;
                }
                other => panic!("unexpected event {other}"),
            };
            self.check(&heard);
            return Some(heard);
        }
    }

    fn check(&mut self, heard: &Heard) {
        let (number, position, after) = match heard {
            Heard::Frame(frame) => {
                let after = (frame.number + 1, frame.position + frame.captured(self.rate));
                (frame.number, frame.position, after)
            }
            Heard::Gap(gap) => {
                let field = |name: &str| gap[name].as_u64().unwrap();
                let Some((number, position)) = self.next else {
                    // Of a restart: where it is from is known to the listener alone.
                    assert_eq!(gap["reason"], "restart", "no gap before the first block: {gap}");
                    return;
                };
                assert_eq!(field("from_frame"), number, "a gap begins where the blocks end: {gap}");
                (number, position, (field("to_frame") + 1, position + field("lost_samples")))
            }
            Heard::State(..) => return,
        };
        if let Some((due, due_position)) = self.next {
            if self.skips {
                assert!(number >= due && position >= due_position, "only forward");
            } else {
                assert_eq!(
                    (number, position),
                    (due, due_position),
                    "numbers and positions follow each other"
                );
            }
        }
        self.next = Some(after);
    }

    /// The next block; gaps and states before it go to `told`.
    pub fn frame(&mut self, told: &mut Vec<Heard>) -> AudioFrame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no block in time; told: {told:?}");
            match self.next().expect("the stream goes on") {
                Heard::Frame(frame) => return frame,
                other => told.push(other),
            }
        }
    }

    /// Blocks until `count` frames were heard without a gap.
    pub fn frames(&mut self, count: usize) -> Vec<AudioFrame> {
        let mut told = Vec::new();
        let frames = (0..count).map(|_| self.frame(&mut told)).collect();
        assert!(!told.iter().any(|heard| matches!(heard, Heard::Gap(_))), "{told:?}");
        frames
    }

    /// Waits for a state, and returns what was told on the way.
    pub fn until_state(&mut self, state: &str) -> Instant {
        loop {
            if let Heard::State(name, at) = self.next().expect("the stream goes on")
                && name == state
            {
                return at;
            }
        }
    }

    /// Waits for a gap.
    pub fn until_gap(&mut self) -> Value {
        loop {
            if let Heard::Gap(gap) = self.next().expect("the stream goes on") {
                return gap;
            }
        }
    }
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Heard {
    Frame(AudioFrame),
    Gap(Value),
    State(String, Instant),
}
