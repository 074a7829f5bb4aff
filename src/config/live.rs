//! The keys of `[live]` and `[profile.NAME]`. Profiles are the one part whose tables have names of the
//! operator's own: every name has the same keys.

use crate::codec::{AacProfile, Codec, OpusApplication};
use crate::station::live::{Profile, Settings};
use crate::station::push;

use super::effects::EFFECTS;
use super::form::{Millis, Seconds, Switch, Whole, Word, whole};
use super::keys::Keys;
use super::text::STATION_NAME;

/// What the tables of profiles begin with.
pub(super) const PROFILE: &str = "profile.";

/// The whole part.
pub(super) fn describe(keys: &mut impl Keys, live: &mut Settings, pushes: &mut [push::Settings]) {
    keys.table("live", true, "Live sound for players, at /live.mp3 and its kin.");
    keys.key("name", &mut live.name, &STATION_NAME, "What players show as the name of the station.");
    keys.key(
        "flush_ms",
        &mut live.flush,
        &Millis(whole(20, 1000)),
        "Sound that a listener gets with one write, in ms: longer is less work for each listener and\n\
         more delay. Those who ask for ?latency=low get every packet at once.",
    );
    keys.key(
        "burst_ms",
        &mut live.burst,
        &Millis(whole(0, 8000)),
        "Sound of the past that a new listener gets at once, in ms, so that its player can begin to\n\
         play. With ?latency=low there is none.",
    );
    keys.key(
        "lag_s",
        &mut live.lag,
        &Seconds(whole(2, 60)),
        "A listener that has fallen so many seconds behind is cut.",
    );
    keys.key(
        "idle_s",
        &mut live.idle,
        &Seconds(whole(1, 3600)),
        "An encoding that nobody listens to goes on for so many seconds.",
    );
    keys.key(
        "dither",
        &mut live.dither,
        &Switch,
        "Add the least noise that keeps soft sound free of distortion where sound is rounded: in FLAC,\n\
         WAV and AAC. Sound that fits their numbers exactly is left as it is.",
    );
    super::push::describe(keys, pushes);
    for (name, profile) in &mut live.profiles {
        self::profile(keys, name, profile);
    }
}

fn profile(keys: &mut impl Keys, name: &str, profile: &mut Profile) {
    const QUALITY: Whole = whole(0, 9);
    keys.table(
        &format!("{PROFILE}{name}"),
        true,
        "Profiles: named targets of encoding, at /live/NAME.mp3 and its kin. These are built in; a\n\
         table of another name is one more, and what it leaves out is as in [profile.medium]. In a\n\
         codec that is not its own a profile has the nearest figures that this codec can have.",
    );
    keys.key("codec", &mut profile.codec, &CODEC, "The codec where a listener names none.");
    keys.key(
        "bitrate_kbps",
        &mut profile.bitrate_kbps,
        &whole(6, 1000),
        "Bit rate in kbit/s, of codecs that have one.",
    );
    keys.key("sample_rate", &mut profile.sample_rate, &whole(8000, 192_000), "Frames per second, in Hz.");
    keys.key("channels", &mut profile.channels, &whole(1, 8), "Channels.");
    keys.key(
        "bit_depth",
        &mut profile.bit_depth,
        &whole(16, 24).multiple_of(8),
        "Bits of a sample of FLAC and WAV.",
    );
    keys.key(
        "bandwidth_estimate_kbps",
        &mut profile.bandwidth_estimate_kbps,
        &whole(0, 100_000),
        "What a connection should be able to carry for it, in kbit/s; 0 is a quarter more than the\n\
         bit rate.",
    );
    keys.key(
        "mp3_quality",
        &mut profile.mp3_quality,
        &QUALITY,
        "Effort of MP3, from 0 (best) to 9 (quickest).",
    );
    keys.key("aac_profile", &mut profile.aac_profile, &AAC_PROFILE, "The profile of AAC.");
    keys.key(
        "opus_application",
        &mut profile.opus_application,
        &OPUS_APPLICATION,
        "What Opus is to be good at.",
    );
    keys.key("flac_level", &mut profile.flac_level, &whole(0, 8), "Effort of FLAC, from 0 (quickest) to 8.");
    keys.key(
        "normalize",
        &mut profile.normalize,
        &Switch,
        "Bring the loudness to -16 LUFS, before the effects.",
    );
    keys.key(
        "effects",
        &mut profile.effects,
        &EFFECTS,
        "Effects, in order, after those of the programme. What an effect leaves out has its default.",
    );
}

const CODEC: Word<Codec> = Word {
    words: &[
        ("mp3", Codec::Mp3),
        ("aac", Codec::Aac),
        ("opus", Codec::Opus),
        ("vorbis", Codec::Vorbis),
        ("flac", Codec::Flac),
        ("wav", Codec::Wav),
    ],
    later: &[],
};

const AAC_PROFILE: Word<AacProfile> = Word {
    words: &[("lc", AacProfile::Lc), ("he", AacProfile::He), ("he-v2", AacProfile::HeV2)],
    later: &[],
};

const OPUS_APPLICATION: Word<OpusApplication> = Word {
    words: &[
        ("audio", OpusApplication::Audio),
        ("voip", OpusApplication::Voip),
        ("lowdelay", OpusApplication::LowDelay),
    ],
    later: &[],
};
