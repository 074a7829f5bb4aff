//! The reader against files made byte by byte, whole and broken.

#[path = "../../../tests/common/wav.rs"]
mod wav;

use wav::wav_file;

use super::*;
use crate::dsp::convert::to_s16_le;
use crate::tools::confine;
use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi, Md5};
use symphonia::core::io::Monitor;
use tempfile::TempDir;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/talas-demo.flac");
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const WAV_HEADER: usize = 44;
const FLAC_HEADER: usize = 42;
/// Samples per channel of each FLAC frame made here.
const BLOCK: usize = 16;

fn wav(tag: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<u8> {
    wav_file(tag, 48_000, channels, bits, data)
}

/// A WAV file of random-looking 16-bit samples, and the samples.
fn noise(frames: usize, channels: u16) -> (Vec<u8>, Vec<f32>) {
    let values: Vec<i16> =
        (0..frames * usize::from(channels)).map(|i| ((i * 40_503) as u16).cast_signed()).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (wav(PCM, 16, channels, &data), values.iter().map(|value| f32::from(*value) / 32_768.0).collect())
}

fn flac_header(bits: u8, channels: u8) -> Vec<u8> {
    let mut bytes = b"fLaC\x80\0\0\x22".to_vec();
    bytes.extend([0, 16, 0, 16, 0, 0, 0, 0, 0, 0]);
    // 20 bits of rate, 3 of channels, 5 of bits, 36 of length (unknown).
    let fields = 48_000_u64 << 44 | u64::from(channels - 1) << 41 | u64::from(bits - 1) << 36;
    bytes.extend(fields.to_be_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// A frame whose subframes are stored verbatim. `samples` is one channel after the other.
fn flac_frame(number: u32, bits: u8, samples: &[i32]) -> Vec<u8> {
    let channels = u8::try_from(samples.len() / BLOCK).expect("at most 8");
    let mut bytes = vec![0xff, 0xf8, 0x60, (channels - 1) << 4];
    bytes.extend(char::from_u32(number).expect("small").to_string().bytes());
    bytes.push(15);
    let mut crc = Crc8Ccitt::new(0);
    crc.process_buf_bytes(&bytes);
    bytes.push(crc.crc());
    for channel in samples.chunks(BLOCK) {
        bytes.push(2);
        channel.iter().for_each(|value| bytes.extend(&value.to_be_bytes()[4 - usize::from(bits / 8)..]));
    }
    seal(bytes)
}

/// Well-formed but for a subframe of a type that does not exist.
fn senseless_frame(number: u32) -> Vec<u8> {
    let mut bytes = flac_frame(number, 16, &[0; BLOCK]);
    bytes.truncate(bytes.len() - 2);
    let body = bytes.len() - 2 * BLOCK - 1;
    bytes[body] = 4;
    seal(bytes)
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut crc = Crc16Ansi::new(0);
    crc.process_buf_bytes(&bytes);
    bytes.extend(crc.crc().to_be_bytes());
    bytes
}

/// A mono FLAC file; each frame holds its own number in all samples.
fn numbered(frames: u32) -> Vec<u8> {
    let mut bytes = flac_header(16, 1);
    (0..frames).for_each(|n| bytes.extend(flac_frame(n, 16, &[n.cast_signed(); BLOCK])));
    bytes
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sound");
    fs::write(&path, bytes).expect("a file");
    (dir, path)
}

fn open(bytes: &[u8]) -> Result<AudioFile> {
    AudioFile::open(&written(bytes).1)
}

/// What is left of the file, read in pieces of so many frames.
fn rest(audio: &mut AudioFile, piece: usize) -> Vec<f32> {
    let channels = usize::from(audio.channels());
    let mut all = Vec::new();
    let mut out = vec![f32::NAN; piece * channels];
    loop {
        let frames = audio.read(&mut out).expect("readable");
        all.extend_from_slice(&out[..frames * channels]);
        if frames < piece {
            assert_eq!(audio.read(&mut out).expect("still at the end"), 0);
            return all;
        }
    }
}

fn samples(bytes: &[u8]) -> (&'static str, Vec<f32>) {
    let mut audio = open(bytes).expect("a good file");
    (audio.format(), rest(&mut audio, 7))
}

#[track_caller]
fn refuses(bytes: &[u8], reason: &str) {
    let error = open(bytes).err().expect("refused");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.message().contains(reason), "{error}");
}

#[test]
fn integers_are_exact_and_never_reach_plus_one() {
    let all_bits = |value: i32| f64::from(value) / f64::from(1 << 23);
    for value in [0_i32, 1, -1, 2, 0x12_3456, -0x65_4321, (1 << 23) - 1, -(1 << 23)] {
        let [b0, b1, b2, _] = value.to_le_bytes();
        let (format, got) = samples(&wav(PCM, 24, 1, &[b0, b1, b2]));
        assert_eq!((format, f64::from(got[0])), ("S24_3LE", all_bits(value)));
        let (format, got) = samples(&wav(PCM, 32, 1, &[0xff, b0, b1, b2]));
        assert_eq!((format, f64::from(got[0])), ("S32_LE", all_bits(value)));
    }
    assert_eq!(samples(&wav(PCM, 8, 1, &[0, 128, 192, 255])), ("U8", vec![-1.0, 0.0, 0.5, 127.0 / 128.0]));
}

#[test]
fn floats_keep_what_is_above_full_scale_and_lose_what_is_no_number() {
    let values = [0.1, -1.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
    let expected = [0.1, -1.5, 0.0, 0.0, 0.0, f32::MIN_POSITIVE];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(samples(&wav(FLOAT, 32, 2, &data)), ("FLOAT_LE", expected.to_vec()));
    let data: Vec<u8> = values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    assert_eq!(samples(&wav(FLOAT, 64, 2, &data)), ("FLOAT64_LE", expected.to_vec()));
}

#[test]
fn channels_stay_in_order_across_packets() {
    for channels in [1, 2, 8] {
        let (bytes, expected) = noise(3000, channels);
        let mut audio = open(&bytes).expect("a good file");
        assert_eq!((audio.sample_rate(), audio.channels()), (48_000, channels));
        assert_eq!(rest(&mut audio, 480), expected);
    }
}

#[test]
fn every_round_is_the_same() {
    for bytes in [noise(3000, 2).0, numbered(50)] {
        let mut audio = open(&bytes).expect("a good file");
        let first = rest(&mut audio, 100);
        audio.rewind().expect("from the end");
        assert_eq!(rest(&mut audio, 333), first);
        audio.rewind().expect("from the end again");
        let mut some = [0.0; 20];
        audio.read(&mut some).expect("a little");
        audio.rewind().expect("from the middle");
        assert_eq!(rest(&mut audio, 1), first);
    }
}

#[test]
fn the_shipped_recording_decodes_to_its_own_checksum() {
    let stored = fs::read(DEMO).expect("shipped");
    let mut audio = AudioFile::open(Path::new(DEMO)).expect("shipped and good");
    assert_eq!((audio.sample_rate(), audio.channels(), audio.format()), (48_000, 2, "S16_LE"));
    let decoded = rest(&mut audio, 1024);
    assert_eq!(decoded.len(), 2 * 1_152_000);
    let mut bytes = Vec::new();
    to_s16_le(&decoded, &mut bytes);
    let mut digest = Md5::default();
    digest.process_buf_bytes(&bytes);
    // The last 16 bytes of the header's first block are what the encoder was given.
    assert_eq!(digest.md5(), stored[26..42]);
}

#[test]
fn flac_is_exact_in_all_widths_and_channels() {
    for (bits, format) in [(8, "S8"), (16, "S16_LE"), (24, "S24_3LE")] {
        let full = 1_i32 << (bits - 1);
        for channels in [1_u8, 2, 8] {
            let planes: Vec<i32> =
                (0..16 * i32::from(channels)).map(|i| (i * 40_503) % full - (i % 3)).collect();
            let bytes = [flac_header(bits, channels), flac_frame(0, bits, &planes)].concat();
            let interleaved = (0..planes.len()).map(|i| {
                let (frame, channel) = (i / usize::from(channels), i % usize::from(channels));
                planes[channel * BLOCK + frame] as f32 / full as f32
            });
            assert_eq!(samples(&bytes), (format, interleaved.collect()));
        }
    }
}

#[test]
fn damaged_flac_frames_are_left_out() {
    let size = flac_frame(1, 16, &[0; BLOCK]).len();
    let mut bytes = numbered(20);
    bytes[FLAC_HEADER + 4 * size + 20] ^= 0x40;
    bytes.splice(FLAC_HEADER + 9 * size..FLAC_HEADER + 10 * size, senseless_frame(9));
    let heard: Vec<f32> = samples(&bytes).1.chunks(BLOCK).map(|frame| frame[0] * 32_768.0).collect();
    let expected: Vec<f32> = (0_u8..20).filter(|n| ![4, 9].contains(n)).map(f32::from).collect();
    assert_eq!(heard, expected);
}

#[test]
fn nothing_but_damage_ends_soon() {
    let damage: Vec<u8> = (1..2000).flat_map(senseless_frame).collect();
    refuses(&[flac_header(16, 1), damage.clone()].concat(), "no audio");
    let (_, heard) = samples(&[numbered(1), damage, flac_frame(2000, 16, &[5; BLOCK])].concat());
    assert_eq!(heard.len(), BLOCK, "what comes behind so much damage is given up");
}

#[test]
fn a_cut_off_wav_ends_where_it_is_cut() {
    let (bytes, expected) = noise(500, 2);
    for length in (0..bytes.len()).step_by(97) {
        let frames = length.saturating_sub(WAV_HEADER) / 4;
        match open(&bytes[..length]) {
            Ok(mut audio) => assert_eq!(rest(&mut audio, 64), expected[..frames * 2]),
            Err(error) => assert_eq!((error.kind(), frames), (Kind::Invalid, 0), "{error}"),
        }
    }
}

#[test]
fn a_cut_off_flac_ends_where_it_is_cut() {
    let bytes = numbered(100);
    let whole = samples(&bytes).1;
    let size = (bytes.len() - FLAC_HEADER) / 100;
    for length in (0..bytes.len()).step_by(97) {
        let frames = length.saturating_sub(FLAC_HEADER) / size;
        let heard = match open(&bytes[..length]) {
            Ok(mut audio) => rest(&mut audio, 64),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Invalid, "{error}");
                Vec::new()
            }
        };
        assert!(whole.starts_with(&heard));
        // A cut within the next frame's header takes the frame before it along.
        assert!((frames.saturating_sub(1)..=frames).contains(&(heard.len() / BLOCK)), "{length}");
    }
}

#[test]
fn no_wrong_byte_panics_or_hangs() {
    let demo = fs::read(DEMO).expect("shipped");
    for good in [&noise(300, 2).0[..], &numbered(60), &demo[..9000]] {
        let places = (0..good.len()).filter(|place| *place < 300 || place % 97 == 0);
        for (place, wrong) in places.flat_map(|place| [0x00, 0x7f, 0x80, 0xff].map(|wrong| (place, wrong))) {
            let mut bytes = good.to_vec();
            bytes[place] = wrong;
            let Ok(mut audio) = open(&bytes) else { continue };
            let mut out = vec![0.0; 64 * usize::from(audio.channels())];
            let reads = (0..).take_while(|_| audio.read(&mut out).is_ok_and(|frames| frames > 0));
            assert!(reads.take(10_000).count() < 10_000, "{place} {wrong}");
        }
    }
}

#[test]
fn what_cannot_be_played_is_refused_with_a_reason() {
    refuses(b"", "ends before");
    refuses(b"RI", "ends before");
    refuses(b"OggS and so on, and on, and on, and on, and on", "ogg");
    refuses(b"#EXTM3U\nfile:///etc/passwd\n", "no known sound");
    refuses(b"RIFF\x20\0\0\0AVI LIST and so on, and on, and on", "not wave");
    refuses(&wav(PCM, 16, 2, &[]), "no audio");
    refuses(&wav(PCM, 12, 2, &[0; 64]), "bits per sample");
    refuses(&wav(PCM, 16, 0, &[0; 64]), "channel");
    refuses(&flac_header(16, 2), "ends before");
    let mut silent = wav(PCM, 16, 2, &[0; 64]);
    silent[24..28].fill(0);
    refuses(&silent, "no sample rate");
}

#[test]
fn what_ffmpeg_would_decode_is_refused_with_its_name_where_it_cannot_be_run() {
    // Other tests may have put the helper beside this program; what ffmpeg says then is looked at there.
    if confine::command("ffmpeg").is_ok() {
        return;
    }
    refuses(b"MAC \x96\x0f\0\0\0\0\0\0", "Monkey's Audio is decoded by ffmpeg");
    refuses(
        &[flac_header(32, 1), flac_frame(0, 32, &[0; BLOCK])].concat(),
        "FLAC of 32 bits is decoded by ffmpeg",
    );
}

#[test]
fn what_is_not_there_is_gone_and_what_is_no_file_is_not_waited_for() {
    let (dir, path) = written(b"");
    fs::remove_file(&path).expect("was there");
    let error = AudioFile::open(&path).err().expect("gone");
    assert_eq!(error.kind(), Kind::Gone);
    assert!(error.message().contains("sound: No such file"), "{error}");
    for path in [dir.path(), Path::new("/dev/zero")] {
        assert_eq!(AudioFile::open(path).err().expect("no file").kind(), Kind::Invalid);
    }
}

#[test]
fn a_file_that_becomes_another_is_not_played_on() {
    let (_dir, path) = written(&noise(100, 2).0);
    let mut audio = AudioFile::open(&path).expect("a good file");
    fs::write(&path, noise(100, 1).0).expect("overwritten");
    assert!(audio.rewind().expect_err("another sound").message().contains("changed"));
    assert_eq!(audio.read(&mut [0.0; 8]).expect("nothing"), 0);
    fs::write(&path, noise(100, 2).0).expect("overwritten");
    audio.rewind().expect("the same sound again");
    // In place of the old file: the one that is open plays on.
    fs::write(path.with_extension("new"), b"x").expect("a file");
    fs::rename(path.with_extension("new"), &path).expect("replaced");
    audio.rewind().expect("still open");
}

#[test]
fn it_can_be_moved_to_the_capture_thread() {
    fn is_send<T: Send>() {}
    is_send::<AudioFile>();
}
