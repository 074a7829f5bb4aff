//! What a client reads is what the card plays, bit by bit, in every format.

mod common;

use std::fs;
use std::process::Command;

use common::{Ask, Client, PLAIN, Plan};
use talas_simcard_control::{Card, Format};

const FRAMES: usize = 3_001;
const WIDE: usize = 8;

const PLANS: &[Plan] = &[
    ("formats", |card| card.formats(&Format::ALL).channels(&[2, 8]).samples_s32(&noise(FRAMES * WIDE))),
    ("once", |card| card.looped(false).samples_s16(&[1000; 2 * 600])),
    ("choosy", |card| {
        let card = card.rates(&[44_100, 96_000]).channels(&[1, 4]).formats(&[Format::S32Le]);
        card.period_frames(128..=1024).buffer_max_frames(8192)
    }),
    ("recorded", |card| card.formats(&[Format::S24In3Le]).samples_s32(&noise(FRAMES * 2))),
];

fn card(name: &str) -> &'static Card {
    common::card("exact", PLANS, name)
}

/// Full-scale noise: every bit of a sample matters.
fn noise(samples: usize) -> Vec<i32> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.cast_signed()
    };
    (0..samples).map(|_| next()).collect()
}

/// What a sample must look like, said another way than the plugin does.
fn expected(sample: i32, format: Format) -> Vec<u8> {
    let top24 = sample.cast_unsigned() >> 8;
    match format {
        Format::S16Le => ((sample >> 16) as i16).to_le_bytes().to_vec(),
        Format::S24In3Le => top24.to_le_bytes()[..3].to_vec(),
        Format::S24Le => top24.to_le_bytes().to_vec(),
        Format::S32Le => sample.to_le_bytes().to_vec(),
        Format::FloatLe => (((sample & !0xff) as f32) / 2_147_483_648.0).to_le_bytes().to_vec(),
    }
}

#[test]
fn every_format_and_width_is_bit_exact() {
    let card = card("formats");
    let samples = noise(FRAMES * WIDE);
    for format in Format::ALL {
        for channels in [2, 8] {
            let client = Client::start("formats", Ask { format, channels, buffer: 1 << 16, ..PLAIN });
            // More than the file, so that its end is in it.
            let read = client.read(FRAMES + 500);
            let start = usize::try_from(card.counters().start_frame).expect("small");
            let wanted: Vec<u8> = (start..start + FRAMES + 500)
                .flat_map(|frame| &samples[frame % FRAMES * WIDE..][..channels as usize])
                .flat_map(|&sample| expected(sample, format))
                .collect();
            assert!(read == wanted, "{format:?} with {channels} channels, from frame {start}");
        }
    }
}

#[test]
fn content_that_does_not_loop_ends_in_silence() {
    card("once");
    let client = Client::start("once", PLAIN);
    let read = client.read(1_000);
    let (sound, silence) = read.split_at(600 * 4);
    assert!(sound.as_chunks::<2>().0.iter().all(|&sample| i16::from_le_bytes(sample) == 1000));
    assert!(silence.iter().all(|&byte| byte == 0));
}

#[test]
fn a_card_offers_what_it_was_told_and_nothing_else() {
    card("choosy");
    let right = Ask { format: Format::S32Le, channels: 4, rate: 96_000, period: 1024, buffer: 8192 };
    let wrong =
        [Ask { format: Format::S16Le, ..right }, Ask { channels: 2, ..right }, Ask { rate: 48_000, ..right }];
    for ask in wrong {
        assert!(Client::open("choosy", ask).is_err());
    }
    let sizes = |ask| Client::open("choosy", ask).expect("opens").pcm.get_params().expect("sizes");
    assert_eq!(sizes(Ask { channels: 1, rate: 44_100, ..right }), (8192, 1024));
    // The limits hold for every frame size: for the larger, the most is less, and for the smaller the least more.
    assert_eq!(sizes(Ask { period: 1 << 16, buffer: 1 << 20, ..right }), (2048, 256));
    assert_eq!(sizes(Ask { channels: 1, period: 1, ..right }), (8192, 512));
}

#[test]
fn arecord_records_the_file() {
    let card = card("recorded");
    let (variable, path) = card.env();
    let out = card.dir().join("out.raw");
    let status = Command::new("arecord")
        .args(
            "--quiet -D recorded -t raw -f S24_3LE -r 48000 -c 2 --samples 9600 --buffer-size 65536"
                .split(' '),
        )
        .arg(&out)
        .env(variable, path)
        .status()
        .expect("arecord, of alsa-utils, runs");
    assert!(status.success());
    let wanted: Vec<u8> =
        noise(FRAMES * 2).into_iter().flat_map(|sample| expected(sample, Format::S24In3Le)).collect();
    let recorded = fs::read(&out).expect("a recording");
    assert_eq!(recorded.len(), 9_600 * 6);
    assert!(recorded.iter().zip(wanted.iter().cycle()).all(|(read, wanted)| read == wanted));
    assert_eq!(card.counters().closes, 1);
}
