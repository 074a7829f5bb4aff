//! The data of the frame API's events: blocks as JSON, as base64 of floats or 16-bit integers inside
//! JSON, or the JSON deflated; gaps and states as JSON.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::audio::{Block, Gap, StateMark};
use crate::dsp::convert;
use crate::tools::clock::WallClock;

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Numbers in JSON, each the shortest that reads back as the same float.
    Json,
    /// Base64 of little-endian 32-bit floats.
    F32,
    /// Base64 of little-endian 16-bit integers.
    S16,
    /// Base64 of the raw-deflated JSON.
    Deflate,
}

impl Encoding {
    /// Every encoding, by name.
    pub const ALL: [(&'static str, Self); 4] =
        [("json", Self::Json), ("f32", Self::F32), ("s16", Self::S16), ("deflate", Self::Deflate)];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, encoding)| *encoding == self).map_or("json", |(name, _)| name)
    }
}

/// Room for one sample in JSON: sign, nine digits, point, exponent, comma.
const JSON_SAMPLE_BYTES: usize = 13;

/// Encodes blocks of one programme.
#[derive(Debug)]
pub struct FrameEncoder {
    encoding: Encoding,
    /// Frames per second of the captured programme.
    capture_rate: u32,
    /// Captured frames for each one sent.
    factor: u32,
}

impl FrameEncoder {
    /// For blocks of which one frame of `factor` is left.
    pub const fn new(encoding: Encoding, capture_rate: u32, factor: u32) -> Self {
        Self { encoding, capture_rate, factor }
    }

    /// The data of an `audio-frame` event.
    pub fn block(&self, block: &Block, wall: &WallClock) -> Vec<u8> {
        match self.encoding {
            Encoding::Json => self.json(block, wall),
            Encoding::F32 => self.binary(block, wall, convert::to_f32_le),
            Encoding::S16 => self.binary(block, wall, convert::to_s16_le),
            Encoding::Deflate => deflate(&self.json(block, wall)).into_bytes(),
        }
    }

    fn json(&self, block: &Block, wall: &WallClock) -> Vec<u8> {
        let mut out = Vec::with_capacity((block.a.len() + block.b.len()) * JSON_SAMPLE_BYTES + 256);
        out.extend_from_slice(b"{\"channel_a\":");
        write_samples(&mut out, &block.a);
        out.extend_from_slice(b",\"channel_b\":");
        write_samples(&mut out, &block.b);
        self.write_rest(&mut out, block, wall);
        out
    }

    fn binary(&self, block: &Block, wall: &WallClock, pack: fn(&[f32], &mut Vec<u8>)) -> Vec<u8> {
        let encode = |samples: &[f32]| {
            let mut bytes = Vec::new();
            pack(samples, &mut bytes);
            STANDARD.encode(bytes)
        };
        let mut out = Vec::new();
        out.extend_from_slice(b"{\"channel_a\":\"");
        out.extend_from_slice(encode(&block.a).as_bytes());
        out.extend_from_slice(b"\",\"channel_b\":\"");
        out.extend_from_slice(encode(&block.b).as_bytes());
        out.extend_from_slice(b"\",\"encoding\":\"");
        out.extend_from_slice(self.encoding.as_str().as_bytes());
        out.push(b'"');
        self.write_rest(&mut out, block, wall);
        out
    }

    fn write_rest(&self, out: &mut Vec<u8>, block: &Block, wall: &WallClock) {
        let duration_ms = block.captured as f64 * 1000.0 / f64::from(self.capture_rate);
        let rest = write!(
            out,
            ",\"sample_rate\":{},\"timestamp\":{},\"frame_number\":{},\"duration_ms\":{duration_ms},\"position\":{}}}",
            self.capture_rate / self.factor,
            wall.ms_at(block.mono_ns),
            block.number,
            block.position,
        );
        // Writing to memory cannot fail.
        debug_assert!(rest.is_ok());
    }
}

fn write_samples(out: &mut Vec<u8>, samples: &[f32]) {
    let mut number = zmij::Buffer::new();
    out.push(b'[');
    for (n, sample) in samples.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        // Samples are finite: capture sees to it.
        out.extend_from_slice(number.format_finite(*sample).as_bytes());
    }
    out.push(b']');
}

fn deflate(json: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(json.len() / 2), Compression::fast());
    let packed = encoder.write_all(json).and_then(|()| encoder.finish());
    // Writing to memory cannot fail.
    STANDARD.encode(packed.unwrap_or_default())
}

#[derive(Serialize)]
struct GapData<'a> {
    from_frame: u64,
    to_frame: u64,
    lost_samples: u64,
    reason: &'a str,
    timestamp: u64,
}

/// The data of a `gap` event.
pub fn gap(gap: &Gap, wall: &WallClock) -> String {
    to_json(&GapData {
        from_frame: gap.from_frame,
        to_frame: gap.to_frame,
        lost_samples: gap.lost,
        reason: gap.reason.as_str(),
        timestamp: wall.ms_at(gap.mono_ns),
    })
}

#[derive(Serialize)]
struct StateData<'a> {
    state: &'a str,
    reason: Option<&'a str>,
    since: u64,
}

/// The data of a `state` event.
pub fn state(mark: &StateMark) -> String {
    to_json(&StateData { state: mark.state.as_str(), reason: mark.reason.as_deref(), since: mark.since_ms })
}

fn to_json(data: &impl Serialize) -> String {
    // Plain structures of numbers and strings: there is nothing in them that JSON cannot say.
    serde_json::to_string(data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{GapReason, State};
    use serde_json::Value;
    use std::io::Read;

    fn sample_block() -> Block {
        let a: Vec<f32> = (0..64).map(|n| (n as f32 - 32.0) / 32_768.0).chain([0.1, -1.0, 1e-20]).collect();
        let b = a.iter().rev().copied().collect();
        Block { number: 12, position: 12_288, mono_ns: 0, captured: 67, a, b }
    }

    fn floats(value: &Value) -> Vec<f32> {
        value.as_array().expect("an array").iter().map(|n| n.as_f64().expect("a number") as f32).collect()
    }

    fn encode(encoding: Encoding, factor: u32) -> Vec<u8> {
        FrameEncoder::new(encoding, 48_000, factor).block(&sample_block(), &WallClock::new())
    }

    #[test]
    fn json_reads_back_bit_for_bit_with_every_field() {
        let value: Value = serde_json::from_slice(&encode(Encoding::Json, 1)).expect("JSON");
        let block = sample_block();
        assert_eq!((floats(&value["channel_a"]), floats(&value["channel_b"])), (block.a, block.b));
        assert_eq!(value["sample_rate"], 48_000);
        assert_eq!((&value["frame_number"], &value["position"]), (&12.into(), &12_288.into()));
        let duration = value["duration_ms"].as_f64().expect("a number");
        assert!((duration - 67.0 / 48.0).abs() < 1e-9);
        assert!(value["timestamp"].is_u64());
    }

    #[test]
    fn binary_encodings_say_what_they_are() {
        for (encoding, width) in [(Encoding::F32, 4), (Encoding::S16, 2)] {
            let value: Value = serde_json::from_slice(&encode(encoding, 1)).expect("JSON");
            assert_eq!(value["encoding"], encoding.as_str());
            let bytes = STANDARD.decode(value["channel_a"].as_str().expect("text")).expect("base64");
            assert_eq!(bytes.len(), sample_block().a.len() * width);
            if encoding == Encoding::F32 {
                let back: Vec<f32> =
                    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                assert_eq!(back, sample_block().a);
            }
        }
    }

    #[test]
    fn deflate_is_the_json_deflated() {
        let packed = STANDARD.decode(encode(Encoding::Deflate, 1)).expect("base64");
        let mut json = Vec::new();
        flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut json).expect("raw deflate");
        let value: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(floats(&value["channel_a"]), sample_block().a);
        assert!(value.get("encoding").is_none());
    }

    #[test]
    fn a_lower_rate_is_told_and_the_length_stays_true() {
        let value: Value = serde_json::from_slice(&encode(Encoding::Json, 4)).expect("JSON");
        assert_eq!(value["sample_rate"], 12_000);
        let duration = value["duration_ms"].as_f64().expect("a number");
        assert!((duration - 67.0 / 48.0).abs() < 1e-9);
    }

    #[test]
    fn gaps_and_states_have_the_contracts_fields() {
        let wall = WallClock::new();
        let hole = Gap {
            from_frame: 5,
            to_frame: 7,
            position: 0,
            lost: 2500,
            reason: GapReason::Overrun,
            mono_ns: 0,
        };
        let value: Value = serde_json::from_str(&gap(&hole, &wall)).expect("JSON");
        assert_eq!(value["lost_samples"], 2500);
        assert_eq!((&value["from_frame"], &value["to_frame"]), (&5.into(), &7.into()));
        assert_eq!(value["reason"], "overrun");
        let mark = StateMark { state: State::Absent, reason: Some("no \"device\"".into()), since_ms: 9 };
        let value: Value = serde_json::from_str(&state(&mark)).expect("JSON");
        assert_eq!(value, serde_json::json!({"state": "absent", "reason": "no \"device\"", "since": 9}));
    }
}
