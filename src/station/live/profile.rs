//! Profiles: named targets of encoding, and what each becomes in each codec.

use std::collections::BTreeMap;

use super::presets;
use crate::codec::{AacProfile, Codec, EncoderSettings, OpusApplication};
use crate::dsp::effect::Effect;
use crate::error::{Error, Kind, Result};
use crate::mux::container::Container;

/// The profile that players get until another is chosen.
pub const FIRST: &str = "high";

/// A named target of encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// How to encode where a player does not say.
    pub codec: Codec,
    /// Mean rate in kbit/s, for codecs that have one.
    pub bitrate_kbps: u32,
    /// Frames per second.
    pub sample_rate: u32,
    /// Samples in a frame.
    pub channels: u16,
    /// Bits of a sample, for codecs without loss.
    pub bit_depth: u8,
    /// What a connection should be able to carry, in kbit/s; 0 for a quarter more than the bit rate.
    pub bandwidth_estimate_kbps: u32,
    /// 0 (best) to 9 (quickest).
    pub mp3_quality: u8,
    /// The profile of AAC.
    pub aac_profile: AacProfile,
    /// What Opus is to be good at.
    pub opus_application: OpusApplication,
    /// Effort of FLAC, 0 to 8.
    pub flac_level: u8,
    /// Whether loudness is brought to -16 LUFS before all other effects.
    pub normalize: bool,
    /// Effects, in order, after those of the programme.
    pub effects: Vec<Effect>,
}

impl Profile {
    /// The encoding of its own codec.
    pub fn encoding(&self) -> EncoderSettings {
        self.as_given(self.codec)
    }

    /// Its encoding in a codec: in its own exactly as it says; in another as near to it as that can be.
    pub fn encoding_in(&self, codec: Codec) -> EncoderSettings {
        if codec == self.codec {
            return self.encoding();
        }
        let channels = self.channels.min(codec.most_channels());
        let near = EncoderSettings {
            sample_rate: codec.sample_rate_for(self.sample_rate),
            channels,
            aac_profile: AacProfile::Lc,
            ..self.as_given(codec)
        };
        let bitrate_kbps = near.bitrate_kbps.map(|kbps| near.nearest_bitrate(kbps));
        EncoderSettings { bitrate_kbps, ..near }
    }

    /// The encoding that the figures give, possible or not.
    fn as_given(&self, codec: Codec) -> EncoderSettings {
        let mut encoding = EncoderSettings::new(codec, self.sample_rate, self.channels);
        match codec {
            Codec::Mp3 => encoding.mp3_quality = Some(self.mp3_quality),
            Codec::Aac => encoding.aac_profile = self.aac_profile,
            Codec::Opus => encoding.opus_application = self.opus_application,
            Codec::Flac => encoding.flac_level = Some(self.flac_level),
            Codec::Vorbis | Codec::Wav => {}
        }
        if codec.is_lossless() {
            encoding.bit_depth = Some(self.bit_depth);
        } else {
            encoding.bitrate_kbps = Some(self.bitrate_kbps);
        }
        encoding
    }

    /// Every reason why it cannot be, each saying what would be right.
    pub fn check(&self) -> Vec<String> {
        self.encoding().check()
    }

    /// Every effect that it has, in order.
    pub fn all_effects(&self) -> Vec<Effect> {
        let normal = self.normalize.then(presets::normalization);
        normal.into_iter().chain(self.effects.iter().cloned()).collect()
    }

    /// What a connection should be able to carry, in kbit/s.
    pub fn bandwidth_kbps(&self) -> u32 {
        match self.bandwidth_estimate_kbps {
            0 => self.bitrate_kbps + self.bitrate_kbps / 4,
            given => given,
        }
    }
}

/// Profiles by name.
pub type Profiles = BTreeMap<String, Profile>;

/// What follows a profile's name in the address of a stream: a codec and what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suffix {
    /// MP3.
    Mp3,
    /// AAC in ADTS.
    Aac,
    /// AAC in fragmented MP4.
    M4a,
    /// Opus in Ogg.
    Opus,
    /// Vorbis in Ogg.
    Ogg,
    /// FLAC in Ogg.
    Oga,
    /// FLAC as it is.
    Flac,
    /// PCM in WAV.
    Wav,
}

impl Suffix {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Mp3, Self::Aac, Self::M4a, Self::Opus, Self::Ogg, Self::Oga, Self::Flac, Self::Wav];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::M4a => "m4a",
            Self::Opus => "opus",
            Self::Ogg => "ogg",
            Self::Oga => "oga",
            Self::Flac => "flac",
            Self::Wav => "wav",
        }
    }

    /// The one that is written so.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|suffix| suffix.as_str() == text).ok_or_else(|| {
            let message = "a stream's name ends in .mp3, .aac, .m4a, .opus, .ogg, .oga, .flac or .wav";
            Error::new(Kind::NotFound, message)
        })
    }

    /// The codec.
    pub const fn codec(self) -> Codec {
        match self {
            Self::Mp3 => Codec::Mp3,
            Self::Aac | Self::M4a => Codec::Aac,
            Self::Opus => Codec::Opus,
            Self::Ogg => Codec::Vorbis,
            Self::Flac | Self::Oga => Codec::Flac,
            Self::Wav => Codec::Wav,
        }
    }

    /// What holds its packets.
    pub const fn container(self) -> Container {
        match self {
            Self::Mp3 => Container::Mp3,
            Self::Aac => Container::Adts,
            Self::M4a => Container::Mp4,
            Self::Opus | Self::Ogg | Self::Oga => Container::Ogg,
            Self::Flac => Container::Flac,
            Self::Wav => Container::Wav,
        }
    }

    /// The media type of the stream. The codec is not told of MP4, where it depends on the profile.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::M4a => "audio/mp4",
            Self::Opus => "audio/ogg; codecs=opus",
            Self::Ogg => "audio/ogg; codecs=vorbis",
            Self::Oga => "audio/ogg; codecs=flac",
            Self::Flac => "audio/flac",
            Self::Wav => "audio/wav",
        }
    }

    /// The one that a profile of this codec has where none is said.
    pub const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Mp3 => Self::Mp3,
            Codec::Aac => Self::Aac,
            Codec::Opus => Self::Opus,
            Codec::Vorbis => Self::Ogg,
            Codec::Flac => Self::Flac,
            Codec::Wav => Self::Wav,
        }
    }

    /// Whether a stream may go on with packets of another encoder of the same codec, rate and channels:
    /// each packet stands for itself, and nothing counts them.
    pub const fn can_be_spliced(self) -> bool {
        matches!(self, Self::Mp3 | Self::Aac | Self::Wav)
    }

    /// Whether titles can begin streams of their own in it.
    pub const fn can_be_chained(self) -> bool {
        matches!(self, Self::Opus | Self::Ogg | Self::Oga)
    }

    /// Whether players look for titles between its bytes.
    pub const fn has_icy(self) -> bool {
        matches!(self, Self::Mp3 | Self::Aac)
    }
}

#[cfg(test)]
mod tests {
    use super::super::presets::built_in;
    use super::*;

    #[test]
    fn every_profile_can_be_in_every_codec() {
        for (name, profile) in built_in() {
            assert_eq!(profile.check(), Vec::<String>::new(), "{name}");
            for suffix in Suffix::ALL {
                let encoding = profile.encoding_in(suffix.codec());
                assert_eq!(encoding.check(), Vec::<String>::new(), "{name}.{}", suffix.as_str());
                assert!(suffix.container().holds(suffix.codec()));
            }
        }
    }

    #[test]
    fn another_codec_has_the_nearest_figures() {
        let profiles = built_in();
        let figures = |name: &str, codec| {
            let encoding = profiles[name].encoding_in(codec);
            (encoding.sample_rate, encoding.channels, encoding.bitrate_kbps)
        };
        assert_eq!(figures("high", Codec::Aac), (44_100, 2, Some(320)));
        assert_eq!(figures("high", Codec::Mp3), (44_100, 2, Some(320)));
        assert_eq!(figures("high", Codec::Opus), (48_000, 2, Some(320)));
        assert_eq!(figures("low", Codec::Mp3), (22_050, 2, Some(128)));
        assert_eq!(figures("mobile", Codec::Opus), (24_000, 2, Some(96)));
        assert_eq!(figures("medium", Codec::Flac), (44_100, 2, None));
        assert_eq!(figures("hifi", Codec::Mp3).2, Some(320), "the founding bit rate, where there is one");
    }

    #[test]
    fn what_cannot_be_says_why() {
        let mut profile = built_in().remove("high").expect("built in");
        (profile.sample_rate, profile.channels) = (8000, 1);
        let reasons = profile.check();
        assert!(reasons.len() == 1 && reasons[0].contains("320"), "{reasons:?}");
    }

    #[test]
    fn normalization_comes_first() {
        let mut profile = built_in().remove("podcast").expect("built in");
        let own = profile.effects.len();
        profile.normalize = true;
        let all = profile.all_effects();
        assert_eq!(all.len(), own + 1);
        assert_eq!(all[1..], profile.effects[..]);
    }
}
