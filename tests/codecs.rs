//! Every encoder, decoded by others: what comes back is what went in, where it was, and as long as it was.

#![allow(clippy::unwrap_used, reason = "tests")]

mod sound;

use sound::*;
use talasd::codec::{AacProfile, Codec, EncoderSettings, Format, encoder};
use talasd::mux::Container;

/// Settings of each kind, and the SNR that they reach at least with `programme`, in dB.
fn lossy() -> Vec<(EncoderSettings, f64)> {
    let with = |codec, sample_rate, channels, kbps| {
        let mut settings = EncoderSettings::new(codec, sample_rate, channels);
        settings.bitrate_kbps = Some(kbps);
        settings
    };
    let mut all = vec![
        (with(Codec::Mp3, 48_000, 2, 192), 25.0),
        (with(Codec::Mp3, 44_100, 2, 128), 21.0),
        (with(Codec::Mp3, 22_050, 2, 128), 21.0),
        (with(Codec::Mp3, 8_000, 1, 32), 21.0),
        (with(Codec::Opus, 48_000, 2, 128), 23.0),
        (with(Codec::Opus, 24_000, 1, 48), 20.0),
        (with(Codec::Vorbis, 44_100, 2, 128), 32.0),
        (with(Codec::Vorbis, 48_000, 1, 80), 28.0),
        (with(Codec::Vorbis, 48_000, 8, 640), 28.0),
    ];
    // FDK, or ffmpeg's own where it is left out.
    let aac = if cfg!(feature = "aac-fdk") { [31.0, 31.0, 35.0] } else { [18.0, 12.0, 10.0] };
    all.push((with(Codec::Aac, 48_000, 2, 160), aac[0]));
    all.push((with(Codec::Aac, 22_050, 2, 96), aac[1]));
    all.push((with(Codec::Aac, 8_000, 1, 32), aac[2]));
    all
}

/// What a decoder hears before the first sample, where the container cannot tell it to drop that.
fn heard_delay(container: Container, format: &Format) -> usize {
    match container {
        Container::Mp3 | Container::Adts => format.delay_frames as usize,
        // Neither cuts what an edit list says in front of fragments; ffmpeg moves it before zero in time.
        Container::Mp4 if format.codec == Codec::Aac => format.delay_frames as usize,
        Container::Ogg | Container::Flac | Container::Wav | Container::Mp4 => 0,
    }
}

#[test]
fn what_is_lossy_comes_back_alike_in_its_place() {
    for (settings, least) in lossy() {
        let original = programme(settings.sample_rate, settings.channels, settings.sample_rate as usize * 2);
        let (format, packets) = packets(&settings, &original);
        for container in containers(settings.codec) {
            let stream = muxed(container, &format, &packets);
            let ours = by_ffmpeg(&stream, settings.sample_rate, settings.channels);
            let mut decoded = vec![("ffmpeg", ours)];
            // Symphonia gives Opus at 48 kHz whatever went in, skips the wrong part of it in MP4, and cannot
            // do more than two channels of Vorbis.
            let is_odd_opus = settings.codec == Codec::Opus
                && (settings.sample_rate != 48_000 || container == Container::Mp4);
            if settings.channels <= 2 && !is_odd_opus {
                decoded.push(("symphonia", by_symphonia(&stream)));
            }
            for (who, decoded) in decoded {
                let delay = heard_delay(container, &format);
                let what = format!("{container} by {who}, {settings:?}");
                let (most, extra) = (original.frames() + delay, decoded.frames() - original.frames() - delay);
                // Only Ogg can tell where in a packet the end is.
                let is_padded = container != Container::Ogg;
                assert!(
                    decoded.frames() >= most && extra <= if is_padded { 2048 } else { 0 },
                    "{what}: {extra}"
                );
                for channel in 0..usize::from(settings.channels) {
                    let (before, after) = (original.channel(channel), decoded.channel(channel));
                    assert_eq!(lag(&before, &after, 4000), delay, "{what}");
                    let snr = snr_db(&before, &after[delay..]);
                    assert!(snr >= least, "{what}: {snr:.1} dB");
                }
            }
        }
    }
}

#[test]
fn lossless_means_every_bit() {
    for codec in [Codec::Flac, Codec::Wav] {
        for (bits, sample_rate, channels) in [
            (16, 44_100, 2),
            (24, 48_000, 2),
            (16, 8_000, 1),
            (24, 192_000, 2),
            (24, 48_000, 8),
            (16, 96_000, 6),
        ] {
            let mut settings = EncoderSettings::new(codec, sample_rate, channels);
            settings.bit_depth = Some(bits);
            let frames = sample_rate as usize + 321;
            let mut original = programme(sample_rate, channels, frames);
            // The edges of the scale, and noise that no predictor foresees.
            original.samples[..64].fill(1.0);
            original.samples[64..128].fill(-1.0);
            let rough = noise(4096, 0.9);
            original.samples[128..128 + rough.len()].copy_from_slice(&rough);
            let mut original = quantised(original, bits);
            let top = 1.0 - 1.0 / (1_u32 << (bits - 1)) as f32;
            original.samples[..64].fill(top);
            let (format, packets) = packets(&settings, &original);
            for container in containers(codec) {
                let stream = muxed(container, &format, &packets);
                assert!(
                    by_ffmpeg(&stream, sample_rate, channels) == original,
                    "{codec} {bits} {container} ffmpeg"
                );
                assert!(by_symphonia(&stream) == original, "{codec} {bits} {container} symphonia");
            }
        }
    }
}

#[test]
fn packets_add_up_to_what_went_in() {
    let mut all: Vec<EncoderSettings> = lossy().into_iter().map(|(settings, _)| settings).collect();
    all.extend([Codec::Flac, Codec::Wav].map(|codec| EncoderSettings::new(codec, 48_000, 2)));
    for settings in all {
        for frames in [1, 100, 1024, 4096, 30_011] {
            let sound = programme(settings.sample_rate, settings.channels, frames);
            let (format, packets) = packets(&settings, &sound);
            let counted: usize = packets.iter().map(|packet| packet.frames as usize).sum();
            assert_eq!(counted, frames + format.delay_frames as usize, "{settings:?}");
        }
    }
}

#[test]
fn every_rate_that_is_not_refused_can_be_encoded_and_the_others_cannot() {
    with_helper();
    let rates = [
        7_999, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_201, 96_000, 192_000,
    ];
    let bitrates = [None, Some(5), Some(8), Some(32), Some(64), Some(128), Some(320), Some(512)];
    let mut taken = 0;
    for codec in Codec::ALL {
        for profile in AacProfile::ALL {
            if codec != Codec::Aac && profile != AacProfile::Lc {
                continue;
            }
            for (sample_rate, channels) in
                rates.iter().flat_map(|rate| [0, 1, 2, 3, 8, 9].map(|n| (*rate, n)))
            {
                for bitrate_kbps in bitrates {
                    let mut settings = EncoderSettings::new(codec, sample_rate, channels);
                    settings.bitrate_kbps = bitrate_kbps;
                    settings.aac_profile = profile;
                    let reasons = settings.check();
                    let made = encoder(&settings);
                    let why = made.as_ref().err().map(ToString::to_string);
                    assert_eq!(made.is_ok(), reasons.is_empty(), "{settings:?}: {reasons:?}, {why:?}");
                    taken += usize::from(made.is_ok());
                }
            }
        }
    }
    assert!(taken > 300, "{taken}");
}
