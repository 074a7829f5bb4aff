//! What can be asked of an encoder, and every reason why it cannot be.
//!
//! The reasons are sentences for whoever wrote the settings: each names the value, and what would be
//! right. A set of settings without a reason against it is one that [`super::encoder::encoder`] takes;
//! the tests hold both to that, over all rates, channels and bit rates.

use std::fmt;

/// How sound is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// MPEG Layer III.
    Mp3,
    /// MPEG-4 AAC, of the profile that the settings say.
    Aac,
    /// Opus.
    Opus,
    /// Vorbis.
    Vorbis,
    /// FLAC, without loss.
    Flac,
    /// PCM, as a WAV file has it.
    Wav,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mp3, Self::Aac, Self::Opus, Self::Vorbis, Self::Flac, Self::Wav];

    /// Its name in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Opus => "opus",
            Self::Vorbis => "vorbis",
            Self::Flac => "flac",
            Self::Wav => "wav",
        }
    }

    /// The codec of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.as_str() == name)
    }

    /// Whether what comes out of a decoder is what went in, at its bit depth.
    pub const fn is_lossless(self) -> bool {
        matches!(self, Self::Flac | Self::Wav)
    }

    /// The sample rates it can be at, in ascending order; none for the codecs that take every one from
    /// [`LOWEST_RATE`] to [`Codec::highest_rate`].
    pub const fn sample_rates(self) -> &'static [u32] {
        match self {
            Self::Mp3 => &[8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000],
            Self::Aac => &[
                8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000,
            ],
            Self::Opus => &[8_000, 12_000, 16_000, 24_000, 48_000],
            Self::Vorbis | Self::Flac | Self::Wav => &[],
        }
    }

    /// The rate to convert to, for sound of another: the next that it can be at which loses nothing, else
    /// its highest.
    pub fn sample_rate_for(self, sample_rate: u32) -> u32 {
        let rates = self.sample_rates();
        let next = rates.iter().find(|rate| **rate >= sample_rate).or(rates.last());
        next.copied().unwrap_or_else(|| sample_rate.clamp(LOWEST_RATE, self.highest_rate()))
    }

    /// The highest sample rate it can be at.
    pub fn highest_rate(self) -> u32 {
        match self {
            // Beyond, libvorbis has no tables for a bit rate.
            Self::Vorbis => 50_000,
            _ => self.sample_rates().last().copied().unwrap_or(HIGHEST_RATE),
        }
    }

    /// The most channels it can have here.
    pub const fn most_channels(self) -> u16 {
        match self {
            Self::Mp3 | Self::Aac | Self::Opus => 2,
            Self::Vorbis | Self::Flac | Self::Wav => 8,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The lowest and the highest sample rate of any encoder.
pub const LOWEST_RATE: u32 = 8_000;
/// See [`LOWEST_RATE`].
pub const HIGHEST_RATE: u32 = 192_000;

/// The parts of AAC that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AacProfile {
    /// Low complexity: what every player knows.
    #[default]
    Lc,
    /// HE-AAC: the upper half of the spectrum is described instead of encoded.
    He,
    /// HE-AAC v2: and the stereo image as well.
    HeV2,
}

impl AacProfile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lc, Self::He, Self::HeV2];

    /// Its name in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lc => "lc",
            Self::He => "he",
            Self::HeV2 => "he-v2",
        }
    }

    /// The profile of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }
}

/// What Opus is to be good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OpusApplication {
    /// Faithful music and mixed sound.
    #[default]
    Audio,
    /// Speech that is to be understood.
    Voip,
    /// The least delay, 4 ms less than the others.
    LowDelay,
}

impl OpusApplication {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Audio, Self::Voip, Self::LowDelay];

    /// Its name in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Voip => "voip",
            Self::LowDelay => "lowdelay",
        }
    }

    /// The application of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|application| application.as_str() == name)
    }
}

/// What an encoder is asked for. What is `None` is the encoder's choice.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSettings {
    /// How to encode.
    pub codec: Codec,
    /// Frames per second, of the sound as it comes and as it is encoded.
    pub sample_rate: u32,
    /// Samples in a frame.
    pub channels: u16,
    /// Mean rate of MP3, AAC, Opus and Vorbis, in kbit/s; 64 for each channel where it is open. What is
    /// encoded without loss has the rate that it needs, whatever stands here.
    pub bitrate_kbps: Option<u32>,
    /// Whether MP3 and Opus may spend more where the sound needs it; Opus does where it is open. MP3 then
    /// follows `mp3_quality` instead of a rate. AAC never does, Vorbis always.
    pub vbr: Option<bool>,
    /// Bits of a sample of FLAC and WAV: 16 or 24. 16 where it is open.
    pub bit_depth: Option<u8>,
    /// 0 (best) to 9 (quickest); 2 where it is open. With `vbr` it says how much is spent.
    pub mp3_quality: Option<u8>,
    /// The profile of AAC.
    pub aac_profile: AacProfile,
    /// What Opus is to be good at.
    pub opus_application: OpusApplication,
    /// Length of a packet of Opus in ms: 2.5, 5, 10, 20, 40 or 60.
    pub opus_frame_ms: f32,
    /// Effort of FLAC, 0 to 8; 5 where it is open.
    pub flac_level: Option<u8>,
}

impl EncoderSettings {
    /// A codec with everything else left open.
    pub fn new(codec: Codec, sample_rate: u32, channels: u16) -> Self {
        Self {
            codec,
            sample_rate,
            channels,
            bitrate_kbps: None,
            vbr: None,
            bit_depth: None,
            mp3_quality: None,
            aac_profile: AacProfile::default(),
            opus_application: OpusApplication::default(),
            opus_frame_ms: 20.0,
            flac_level: None,
        }
    }

    /// The mean rate in kbit/s, chosen where it is open. Without meaning for what has no loss.
    pub fn bitrate(&self) -> u32 {
        self.bitrate_kbps.unwrap_or_else(|| {
            let usual = match (self.codec, self.aac_profile) {
                (Codec::Aac, AacProfile::He) => 32 * u32::from(self.channels),
                (Codec::Aac, AacProfile::HeV2) => 32,
                _ => 64 * u32::from(self.channels),
            };
            self.nearest_bitrate(usual)
        })
    }

    /// Of the rates that are possible with these settings, the one nearest to `kbps`, in kbit/s. `kbps`
    /// itself where none is possible or the codec has no rate.
    pub fn nearest_bitrate(&self, kbps: u32) -> u32 {
        match self.bitrates() {
            Bitrates::Any => kbps,
            Bitrates::Between(low, high) if low <= high => kbps.clamp(low, high),
            Bitrates::Between(..) => kbps,
            Bitrates::OneOf(rates) => {
                rates.iter().copied().min_by_key(|rate| rate.abs_diff(kbps)).unwrap_or(kbps)
            }
        }
    }

    /// Bits of the integers that sound becomes in the encoder: whoever changed it dithers to these.
    /// `None` where the codec takes floating point as it is.
    pub fn integer_bits(&self) -> Option<u8> {
        match self.codec {
            Codec::Flac | Codec::Wav => Some(self.bit_depth.unwrap_or(16)),
            Codec::Aac => cfg!(feature = "aac-fdk").then_some(16),
            Codec::Mp3 | Codec::Opus | Codec::Vorbis => None,
        }
    }

    /// Every reason why this cannot be, each saying what would be right. None: it can be.
    pub fn check(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        self.check_rate(&mut reasons);
        self.check_channels(&mut reasons);
        if reasons.is_empty() {
            // What is possible depends on both.
            self.check_bitrate(&mut reasons);
        }
        self.check_form(&mut reasons);
        reasons
    }

    fn check_rate(&self, reasons: &mut Vec<String>) {
        let (codec, rate) = (self.codec, self.sample_rate);
        let possible: Vec<u32> =
            codec.sample_rates().iter().copied().filter(|rate| self.is_rate_of_profile(*rate)).collect();
        let is_possible = if codec.sample_rates().is_empty() {
            (LOWEST_RATE..=codec.highest_rate()).contains(&rate)
        } else {
            possible.contains(&rate)
        };
        // The header of a frame has so many bits for it (RFC 9639, 9.1.2).
        if codec == Codec::Flac && is_possible && rate > 65_535 && !rate.is_multiple_of(10) {
            reasons.push(format!("flac has no sample rate of {rate} Hz; above 65535 it has multiples of 10"));
        }
        if is_possible {
            return;
        }
        let right = if possible.is_empty() {
            format!("{LOWEST_RATE} to {}", codec.highest_rate())
        } else {
            listed(&possible)
        };
        reasons.push(format!("{} has no sample rate of {rate} Hz; it has {right}", self.named()));
    }

    /// HE-AAC halves the rate inside, which must still be one of AAC that SBR is defined for.
    fn is_rate_of_profile(&self, rate: u32) -> bool {
        match (self.codec, self.aac_profile) {
            (Codec::Aac, AacProfile::He | AacProfile::HeV2) => (16_000..=48_000).contains(&rate),
            _ => true,
        }
    }

    fn check_channels(&self, reasons: &mut Vec<String>) {
        let most = self.codec.most_channels();
        let is_parametric = self.codec == Codec::Aac && self.aac_profile == AacProfile::HeV2;
        if is_parametric && self.channels != 2 {
            reasons.push(format!(
                "he-v2 describes a stereo image and has no {} channels; it has 2",
                self.channels
            ));
        } else if self.channels == 0 || self.channels > most {
            reasons.push(format!("{} has no {} channels; it has 1 to {most}", self.named(), self.channels));
        }
    }

    fn check_bitrate(&self, reasons: &mut Vec<String>) {
        let Some(kbps) = self.bitrate_kbps else { return };
        let is_possible = match self.bitrates() {
            Bitrates::Any => true,
            Bitrates::Between(low, high) => (low..=high).contains(&kbps),
            Bitrates::OneOf(rates) => rates.contains(&kbps),
        };
        if is_possible {
            return;
        }
        let right = match self.bitrates() {
            Bitrates::OneOf(rates) => listed(rates),
            Bitrates::Between(low, high) => format!("{low} to {high}"),
            Bitrates::Any => return,
        };
        let (rate, channels) = (self.sample_rate, self.channels);
        let mode = if channels == 1 { "mono" } else { "stereo" };
        let mode = if channels > 2 { format!("{channels} channels") } else { mode.to_owned() };
        let what = self.named();
        reasons.push(format!("{what} at {rate} Hz {mode} has no {kbps} kbit/s; it has {right}"));
    }

    /// The rates that are possible, in kbit/s.
    fn bitrates(&self) -> Bitrates {
        let channels = u32::from(self.channels);
        match self.codec {
            Codec::Flac | Codec::Wav => Bitrates::Any,
            Codec::Mp3 => Bitrates::OneOf(match self.sample_rate {
                32_000.. => &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
                16_000.. => &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
                // LAME has no more for MPEG-2.5.
                _ => &[8, 16, 24, 32, 40, 48, 56, 64],
            }),
            Codec::Aac => self.aac_bitrates(),
            Codec::Opus => Bitrates::Between(6, 256 * channels),
            Codec::Vorbis => self.vorbis_bitrates(),
        }
    }

    /// A frame of AAC holds at most 6144 bits for each channel (ISO/IEC 14496-3, 4.5.1.1).
    fn aac_bitrates(&self) -> Bitrates {
        let channels = u32::from(self.channels);
        match self.aac_profile {
            AacProfile::Lc => Bitrates::Between(8 * channels, 6 * channels * self.sample_rate / 1024),
            AacProfile::He => Bitrates::Between(12 * channels, 64 * channels),
            AacProfile::HeV2 => Bitrates::Between(12, 64),
        }
    }

    /// What the tables of libvorbis reach, for each channel (`rate_mapping` in its `setup_*.h`).
    fn vorbis_bitrates(&self) -> Bitrates {
        let channels = u32::from(self.channels);
        // Two channels can be coupled, and so can the six of 5.1 at the usual rates.
        let (low, high) = match (self.sample_rate, channels) {
            (0..9_000, 2) => (5, 42),
            (0..9_000, _) => (8, 42),
            (9_000..15_000, 2) => (8, 50),
            (9_000..15_000, _) => (14, 50),
            (15_000..19_000, 2) => (10, 100),
            (15_000..19_000, _) => (16, 100),
            (19_000..26_000, 2) => (14, 90),
            (19_000..26_000, _) => (22, 90),
            (26_000..40_000, 2) => (14, 190),
            (26_000..40_000, _) => (26, 190),
            (40_000.., 2) => (16, 250),
            (40_000.., 6) => (12, 240),
            (40_000.., _) => (28, 240),
        };
        Bitrates::Between(low * channels, high * channels)
    }

    /// What only some codecs have.
    fn check_form(&self, reasons: &mut Vec<String>) {
        if !cfg!(feature = "aac-fdk") && self.codec == Codec::Aac && self.aac_profile != AacProfile::Lc {
            reasons.push(format!("this build has no encoder for {}; it has aac (lc)", self.named()));
        }
        let named = self.codec.as_str();
        let mut only = |is_set: bool, of: &[Codec], what: &str| {
            if is_set && !of.contains(&self.codec) {
                let of: Vec<&str> = of.iter().map(|codec| codec.as_str()).collect();
                reasons.push(format!("{named} has no {what}; that is for {}", of.join(" and ")));
            }
        };
        only(self.vbr.is_some(), &[Codec::Mp3, Codec::Opus], "choice of vbr");
        only(self.bit_depth.is_some(), &[Codec::Flac, Codec::Wav], "bit depth");
        only(self.mp3_quality.is_some(), &[Codec::Mp3], "mp3 quality");
        only(self.flac_level.is_some(), &[Codec::Flac], "flac level");
        only(self.aac_profile != AacProfile::default(), &[Codec::Aac], "aac profile");
        only(self.opus_application != OpusApplication::default(), &[Codec::Opus], "opus application");
        if let Some(bits) = self.bit_depth.filter(|bits| ![16, 24].contains(bits)) {
            reasons.push(format!("{bits} bits are not possible; 16 or 24 are"));
        }
        if let Some(quality) = self.mp3_quality.filter(|quality| *quality > 9) {
            reasons.push(format!("there is no mp3 quality {quality}; it is from 0 (best) to 9 (quickest)"));
        }
        if let Some(level) = self.flac_level.filter(|level| *level > 8) {
            reasons.push(format!("there is no flac level {level}; it is from 0 to 8"));
        }
        let frame_ms = self.opus_frame_ms;
        if ![2.5, 5.0, 10.0, 20.0, 40.0, 60.0].contains(&frame_ms) {
            reasons.push(format!("opus has no packets of {frame_ms} ms; it has 2.5, 5, 10, 20, 40 and 60"));
        }
    }

    /// The codec as sentences name it.
    fn named(&self) -> &'static str {
        match (self.codec, self.aac_profile) {
            (Codec::Aac, AacProfile::Lc) => "aac (lc)",
            (Codec::Aac, AacProfile::He) => "aac (he)",
            (Codec::Aac, AacProfile::HeV2) => "aac (he-v2)",
            (codec, _) => codec.as_str(),
        }
    }
}

/// Mean rates in kbit/s that are possible.
enum Bitrates {
    Any,
    Between(u32, u32),
    OneOf(&'static [u32]),
}

fn listed(values: &[u32]) -> String {
    let words: Vec<String> = values.iter().map(u32::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
