//! The recording that ships with the project: real speech and music.

use std::fs::File;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// Where it is.
pub fn demo_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/talas-demo.flac")
}

/// Its samples, two channels interleaved, 16 bits, decoded by the library itself.
pub fn demo() -> Vec<f32> {
    let source = MediaSourceStream::new(Box::new(File::open(demo_path()).unwrap()), Default::default());
    let probe = symphonia::default::get_probe();
    let mut format =
        probe.probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default()).unwrap();
    let track = format.default_track(TrackType::Audio).unwrap();
    let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
    let options = AudioDecoderOptions::default();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).unwrap();
    let (mut all, mut piece) = (Vec::new(), Vec::new());
    while let Some(packet) = format.next_packet().unwrap() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut piece);
        all.append(&mut piece);
    }
    all
}
