//! The profiles that are there without a configuration, with the figures of the founding documents.

use super::profile::{Profile, Profiles};
use crate::codec::{AacProfile, Codec, OpusApplication};
use crate::dsp::effect::{Compressor, Effect, Limiter, Loudness, Peaking};

/// What `normalize` brings loudness to, in LUFS: what the founding podcast has, and what streams and
/// podcasts commonly have.
pub const NORMAL_LUFS: f64 = -16.0;

/// What `normalize` stands for.
pub fn normalization() -> Effect {
    Effect::Loudness(Loudness { target_lufs: NORMAL_LUFS, window_ms: 1000.0, ..Loudness::default() })
}

/// Figures that a profile has where nothing else is said.
impl Default for Profile {
    fn default() -> Self {
        Self {
            codec: Codec::Aac,
            bitrate_kbps: 192,
            sample_rate: 44_100,
            channels: 2,
            bit_depth: 16,
            bandwidth_estimate_kbps: 0,
            mp3_quality: 2,
            aac_profile: AacProfile::Lc,
            opus_application: OpusApplication::Audio,
            flac_level: 5,
            normalize: false,
            effects: Vec::new(),
        }
    }
}

/// The ladder (`high`, `medium`, `low`, `mobile`) and the presets (`hifi`, `podcast`, `mobile-streaming`).
pub fn built_in() -> Profiles {
    let profiles = [
        ("high", ladder(Codec::Aac, 320, 44_100, 400)),
        ("medium", ladder(Codec::Aac, 192, 44_100, 250)),
        ("low", ladder(Codec::Mp3, 128, 22_050, 160)),
        ("mobile", ladder(Codec::Aac, 96, 22_050, 120)),
        ("hifi", hifi()),
        ("podcast", podcast()),
        ("mobile-streaming", mobile_streaming()),
    ];
    profiles.into_iter().map(|(name, profile)| (name.to_owned(), profile)).collect()
}

fn ladder(codec: Codec, bitrate_kbps: u32, sample_rate: u32, bandwidth_estimate_kbps: u32) -> Profile {
    Profile { codec, bitrate_kbps, sample_rate, bandwidth_estimate_kbps, ..Profile::default() }
}

/// Flat bands to begin with: they change nothing until somebody sets them.
fn hifi() -> Profile {
    Profile {
        codec: Codec::Flac,
        bitrate_kbps: 320,
        sample_rate: 48_000,
        bit_depth: 24,
        // FLAC has the rate that it needs: this is that of 24 bits in stereo at 48 kHz, somewhat packed.
        bandwidth_estimate_kbps: 2000,
        flac_level: 5,
        effects: vec![band(60.0, 0.0), band(1000.0, 0.0), band(10_000.0, 0.0)],
        ..Profile::default()
    }
}

/// Less bass, more voice, a little clarity, and even loudness.
fn podcast() -> Profile {
    Profile {
        codec: Codec::Mp3,
        bitrate_kbps: 192,
        mp3_quality: 0,
        effects: vec![
            compressor(-18.0, 3.0, 10.0, 150.0),
            band(80.0, -3.0),
            band(250.0, 2.0),
            band(8000.0, 1.0),
            normalization(),
        ],
        ..Profile::default()
    }
}

/// Even and never too loud, for small loudspeakers in loud places.
fn mobile_streaming() -> Profile {
    Profile {
        codec: Codec::Aac,
        bitrate_kbps: 128,
        normalize: true,
        effects: vec![
            compressor(-20.0, 4.0, 5.0, 100.0),
            Effect::Limiter(Limiter { ceiling_dbtp: -1.0, release_ms: 50.0, ..Limiter::default() }),
        ],
        ..Profile::default()
    }
}

fn compressor(threshold_db: f64, ratio: f64, attack_ms: f64, release_ms: f64) -> Effect {
    Effect::Compressor(Compressor { threshold_db, ratio, attack_ms, release_ms, ..Compressor::default() })
}

fn band(frequency_hz: f64, gain_db: f64) -> Effect {
    Effect::Peaking(Peaking { frequency_hz, gain_db, q: 1.0 })
}
