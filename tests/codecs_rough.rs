//! Encoders under bad treatment: rubbish in, beginnings in the middle, and sound that nobody may hear.

#![allow(clippy::unwrap_used, reason = "tests")]

mod sound;

use sound::*;
use talasd::codec::{AacProfile, Codec, EncoderSettings, Format, Packet, encoder};
use talasd::mux::{Container, muxer};

/// Every codec, and HE-AAC, as a listener would have them.
fn all() -> Vec<EncoderSettings> {
    with_helper();
    let mut all: Vec<EncoderSettings> =
        Codec::ALL.map(|codec| EncoderSettings::new(codec, 48_000, 2)).into_iter().collect();
    if cfg!(feature = "aac-fdk") {
        for profile in [AacProfile::He, AacProfile::HeV2] {
            let mut settings = EncoderSettings::new(Codec::Aac, 48_000, 2);
            settings.aac_profile = profile;
            all.push(settings);
        }
    }
    all
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

#[test]
fn a_reset_lets_nothing_out_that_was_given_before() {
    for settings in all() {
        // Loud, and ended at any place of a packet.
        for frames in [1, 700, 5_000, 48_000] {
            let mut encoder = encoder(&settings).expect("settings that can be");
            let mut packets = Vec::new();
            feed(&mut *encoder, &noise(frames * 2, 0.9), &mut packets);
            encoder.reset().expect("reset");
            packets.clear();
            let silence = vec![0.0; 2 * 24_000];
            feed(&mut *encoder, &silence, &mut packets);
            encoder.finish(&mut |packet| packets.push(packet)).expect("finished");
            let counted: usize = packets.iter().map(|packet| packet.frames as usize).sum();
            let format = encoder.format().clone();
            let overlap = counted - 24_000 - format.delay_frames as usize;
            let most = if settings.codec == Codec::Vorbis { 1_024 } else { 0 };
            assert!(overlap <= most, "{settings:?}: {overlap}");
            for container in containers(settings.codec) {
                let decoded = by_ffmpeg(&muxed(container, &format, &packets), 48_000, 2);
                let heard = peak(&decoded.samples);
                // One step of 16 bits, twice: no encoder of silence is louder, noise is 15,000 times so.
                assert!(heard < 1.0 / 16_384.0, "{settings:?} in {container}: {heard}");
            }
        }
    }
}

#[test]
fn a_stream_goes_on_behind_a_reset() {
    for settings in all() {
        let mut encoder = encoder(&settings).expect("settings that can be");
        let mut packets = Vec::new();
        for _ in 0..3 {
            feed(&mut *encoder, &programme(48_000, 2, 30_000).samples, &mut packets);
            encoder.reset().expect("reset");
        }
        feed(&mut *encoder, &programme(48_000, 2, 30_000).samples, &mut packets);
        encoder.finish(&mut |packet| packets.push(packet)).expect("finished");
        for container in containers(settings.codec) {
            let stream = muxed(container, encoder.format(), &packets);
            let decoded = by_ffmpeg(&stream, 48_000, 2);
            assert!(decoded.frames() > 90_000, "{settings:?} in {container}: {}", decoded.frames());
        }
    }
}

#[test]
fn a_listener_may_begin_at_every_flush() {
    for settings in all() {
        let original = programme(48_000, 2, 3 * 48_000);
        let (format, packets) = packets(&settings, &original);
        for container in containers(settings.codec) {
            let mut muxer = muxer(container, &format).expect("a container for it");
            let head = muxer.head();
            // Groups of 150 ms, as listeners get them; where each begins.
            let (mut stream, mut begins, mut frames) = (Vec::new(), Vec::new(), 0);
            for packet in &packets {
                if frames == 0 {
                    begins.push(stream.len());
                }
                muxer.packet(packet, &mut stream);
                frames += packet.frames;
                if frames >= 7_200 {
                    muxer.flush(&mut stream);
                    frames = 0;
                }
            }
            muxer.end(&mut stream);
            assert!(begins.len() > 15, "{settings:?}: {}", begins.len());
            for place in [3, begins.len() / 2, begins.len() - 4] {
                let heard = [&head[..], &stream[begins[place]..]].concat();
                let decoded = by_ffmpeg(&heard, 48_000, 2);
                let left = packets_from(&packets, &begins, place);
                let least = left.saturating_sub(4_096);
                assert!(
                    decoded.frames() >= least && peak(&decoded.samples) < 1.0,
                    "{settings:?} in {container}: {} of {left} frames",
                    decoded.frames()
                );
            }
        }
    }
}

/// About how many frames are left from that group on, groups being of equal length.
fn packets_from(packets: &[Packet], begins: &[usize], place: usize) -> usize {
    let total: usize = packets.iter().map(|packet| packet.frames as usize).sum();
    total - total * (place + 1) / begins.len()
}

#[test]
fn rubbish_is_encoded_as_silence_and_full_scale_as_full_scale() {
    for settings in all() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE / 2.0, -0.0];
        let rubbish: Vec<f32> = (0..96_000).map(|n| odd[n % odd.len()]).collect();
        let square: Vec<f32> = (0..96_000).map(|n| if n / 2 / 60 % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let beyond: Vec<f32> = square.iter().map(|sample| sample * 1e9).collect();
        let decode = |samples: Vec<f32>| {
            let sound = Sound { samples, sample_rate: 48_000, channels: 2 };
            let (format, packets) = packets(&settings, &sound);
            by_ffmpeg(&muxed(containers(settings.codec)[0], &format, &packets), 48_000, 2).samples
        };
        assert!(peak(&decode(rubbish)) < 1.0 / 16_384.0, "{settings:?}");
        let square = decode(square);
        assert!(peak(&square) > 0.9, "{settings:?}");
        // What is beyond full scale is cut there: it makes the same packets.
        assert!(decode(beyond) == square, "{settings:?}");
    }
}

#[test]
fn every_rate_and_channel_count_is_heard_by_ffmpeg() {
    for codec in Codec::ALL {
        let rates = match codec.sample_rates() {
            [] => &[8_000, 32_000, 44_100, 48_000, 96_000, 176_400, 192_000][..],
            rates => rates,
        };
        for (sample_rate, channels) in rates.iter().flat_map(|rate| [1, 2, 5, 6, 8].map(|n| (*rate, n))) {
            let settings = EncoderSettings::new(codec, sample_rate, channels);
            if !settings.check().is_empty() {
                continue;
            }
            let sound = programme(sample_rate, channels, sample_rate as usize / 2);
            let (format, packets) = packets(&settings, &sound);
            for container in containers(codec) {
                let decoded = by_ffmpeg(&muxed(container, &format, &packets), sample_rate, channels);
                let (least, heard) = (sound.frames(), decoded.frames());
                assert!(heard >= least && heard < least + 6_000, "{settings:?} in {container}: {heard}");
            }
        }
    }
}

/// Two seconds of noise, and what HE-AAC makes of it.
fn he_aac(profile: AacProfile) -> (Sound, Format, Vec<Packet>) {
    let mut settings = EncoderSettings::new(Codec::Aac, 44_100, 2);
    settings.aac_profile = profile;
    settings.bitrate_kbps = Some(48);
    let noise = Sound { samples: noise(2 * 2 * 44_100, 0.3), sample_rate: 44_100, channels: 2 };
    let (format, packets) = packets(&settings, &noise);
    (noise, format, packets)
}

#[test]
fn he_aac_has_its_upper_half() {
    if !cfg!(feature = "aac-fdk") {
        return;
    }
    for profile in [AacProfile::He, AacProfile::HeV2] {
        let (noise, format, packets) = he_aac(profile);
        let stream = muxed(Container::Adts, &format, &packets);
        let decoded = by_ffmpeg(&stream, 44_100, 2);
        // The core ends at a quarter of the rate: what is above it comes from SBR.
        let above = high_share(&decoded.channel(0)[10_000..]);
        assert!(above > 0.05, "{profile:?}: {above}");
        let expected = noise.frames() + format.delay_frames as usize;
        assert!(decoded.frames() >= expected && decoded.frames() < expected + 4_096, "{profile:?}");
    }
}

#[test]
fn he_aac_can_be_begun_with_at_every_packet() {
    if !cfg!(feature = "aac-fdk") {
        return;
    }
    for profile in [AacProfile::He, AacProfile::HeV2] {
        let (_, format, packets) = he_aac(profile);
        // One for each place that a header could be missing from.
        for start in 10..20 {
            assert!(packets[start].clean_start);
            let stream = muxed(Container::Adts, &format, &packets[start..start + 10]);
            let heard = by_ffmpeg(&stream, 44_100, 2).channel(0);
            // From the third packet on: a decoder needs one to begin with, and one for its overlap.
            let above = high_share(&heard[2 * 2048..3 * 2048]);
            assert!(above > 0.05, "{profile:?} from packet {start}: {above}");
        }
    }
}

/// Share of the energy above a quarter of the sample rate: what a difference of neighbours favours is
/// weighed against what their sum does.
fn high_share(samples: &[f32]) -> f64 {
    let (mut high, mut low) = (0.0, 0.0);
    for pair in samples.windows(2) {
        high += f64::from(pair[0] - pair[1]).powi(2);
        low += f64::from(pair[0] + pair[1]).powi(2);
    }
    high / (high + low)
}
