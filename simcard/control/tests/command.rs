//! The `talassim` command by its whole output, and what a wrong asoundrc says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use talas_simcard_control::{Card, plugin};

fn talassim(dir: &Path, args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_talassim"))
        .args(args.split(' '))
        .current_dir(dir)
        .env(plugin::VARIABLE, plugin::build().expect("the plugin builds"))
        .output()
        .expect("talassim runs")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_card_is_made_steered_and_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = talassim(dir.path(), "create box --seconds 1 --formats S24_3LE,S32_LE --name box");
    let (variable, path) = Card::open(dir.path().join("box")).expect("a card").env();
    assert_eq!(said(&made), (Some(0), format!("export {variable}={}\n", path.display()), String::new()));
    let samples = fs::metadata(dir.path().join("box/card.s32")).expect("samples");
    assert_eq!(samples.len(), 48_000 * 2 * 4);
    for order in ["unplug", "busy on", "stall on", "ppm -120", "overrun", "suspend"] {
        let (code, out, err) = said(&talassim(dir.path(), &format!("box {order}")));
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""), "{order}");
    }
    let (code, out, _) = said(&talassim(dir.path(), "box status"));
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "card      unplugged, busy, stalled, -120 ppm, open by nobody\n\
         opens     0 (0 refused), 0 closed\n\
         streams   0 started, 0 overrun, 0 suspended\n\
         frames    0 delivered, 0 lost\n\
         position  started at 0, read up to 0\n"
    );
}

#[test]
fn a_wav_file_is_what_the_card_plays() {
    let dir = tempfile::tempdir().expect("a folder");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 44_100,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(dir.path().join("in.wav"), spec).expect("a file");
    for sample in [0, 1, -1, 8_388_607, -8_388_608] {
        wav.write_sample(sample).expect("a sample");
    }
    wav.finalize().expect("a file");
    assert_eq!(talassim(dir.path(), "create box --wav in.wav").status.code(), Some(0));
    let samples = fs::read(dir.path().join("box/card.s32")).expect("samples");
    let samples: Vec<i32> =
        samples.as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect();
    assert_eq!(samples, [0, 1 << 8, -1 << 8, 8_388_607 << 8, i32::MIN]);
    let conf = fs::read_to_string(dir.path().join("box/card.conf")).expect("a definition");
    assert!(conf.contains("rates \"44100\"") && conf.contains("channels \"1\""), "{conf}");
}

#[test]
fn mistakes_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, _, err) = said(&talassim(dir.path(), "nowhere status"));
    assert_eq!((code, err.starts_with("talassim: ")), (Some(1), true), "{err}");
    let (code, _, err) = said(&talassim(dir.path(), "unplug"));
    assert_eq!((code, err.contains("which card?")), (Some(2), true), "{err}");
    let (code, _, err) = said(&talassim(dir.path(), "create a:b"));
    assert_eq!((code, err.contains("ALSA_CONFIG_PATH")), (Some(1), true), "{err}");
    let (code, _, err) = said(&talassim(dir.path(), "create box --formats S8"));
    assert_eq!((code, err.contains("S24_3LE")), (Some(2), true), "{err}");
}

#[test]
fn a_wrong_asoundrc_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let card = Card::builder(dir.path())
        .plugin(&plugin::build().expect("the plugin builds"))
        .create()
        .expect("a card");
    let definition = dir.path().join("card.conf");
    let right = fs::read_to_string(&definition).expect("a definition");
    fs::write(&definition, right.replace("loop true", "loop true\n    colour blue")).expect("a definition");
    let (variable, path) = card.env();
    let recording = Command::new("arecord")
        .args("-D talassim -f S16_LE -r 48000 -c 2 -d 1 /dev/null".split(' '))
        .env(variable, path)
        .output()
        .expect("arecord, of alsa-utils, runs");
    assert!(!recording.status.success());
    let told = String::from_utf8_lossy(&recording.stderr).into_owned();
    assert!(told.contains("talassim: unknown key colour"), "{told}");
}
