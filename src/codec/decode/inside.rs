//! Decoding in this process, by symphonia and libopus: quick, exact, and in Rust but for Opus.
//!
//! What they do not get right is recognised here and handed over: HE-AAC would be decoded without its upper
//! half, and without a word.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::LazyLock;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource};
use symphonia::default::formats::{
    AdtsReader, AiffReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader, WavReader,
};

use super::signature::Signature;
use super::{Decoder, Sound, edit_list, unreadable};
use crate::error::{Error, Kind, Result};
use crate::tools::contain::contain;

/// Full scale of a 24-bit integer.
const SCALE_24: f32 = 8_388_608.0;

/// Undecodable packets in a row after which the rest is given up. One of FLAC is about a tenth of a second,
/// so nobody waits for what may come behind this many; and it bounds the time that one read takes.
const MAX_DAMAGED: usize = 256;

/// AAC at this rate or below may be the core of HE-AAC, whose true rate is twice as high.
const HIGHEST_CORE_RATE: u32 = 24_000;

/// Symphonia's decoders, and libopus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
    codecs
});

/// What came of opening a file.
pub enum Opened {
    /// It is decoded here.
    Here(Box<dyn Decoder>),
    /// It can be decoded here, but perhaps not all of it: why.
    Perhaps(Box<dyn Decoder>, &'static str),
    /// It is known, and not decoded here: what it is.
    NotHere(String),
}

/// A parser and a decoder at some place in a file.
pub struct Inside {
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    sound: Sound,
    /// A packet of integers, in the upper bits.
    integers: Vec<i32>,
}

/// What became of a packet.
enum Step {
    /// It has samples.
    Decoded,
    /// It could not be decoded, or has none.
    Damaged,
    /// There is none, or none that makes sense.
    End,
}

/// Why a header was not taken.
enum Refusal {
    NotHere(String),
    Failed(DecoderError),
}

impl From<DecoderError> for Refusal {
    fn from(error: DecoderError) -> Self {
        Self::Failed(error)
    }
}

impl Inside {
    /// Reads the header of a file with that signature.
    ///
    /// # Errors
    /// [`Kind::Gone`] when it is unreadable, [`Kind::Invalid`] when it makes no sense.
    pub fn open(file: &File, signature: Signature) -> Result<Opened> {
        let start = match signature {
            Signature::Mpeg(start) | Signature::Adts(start) => start,
            Signature::Foreign(name) => return Ok(Opened::NotHere(name.to_owned())),
            _ => 0,
        };
        let source = from(file, start).map_err(|error| unreadable(&error))?;
        match contain("it", || Self::parse(signature, Box::new(source)))? {
            Ok((inside, None)) => Ok(Opened::Here(inside.trimmed(file, signature))),
            Ok((inside, Some(doubt))) => Ok(Opened::Perhaps(inside.trimmed(file, signature), doubt)),
            Err(Refusal::NotHere(what)) => Ok(Opened::NotHere(what)),
            Err(Refusal::Failed(error)) => Err(refused(&error)),
        }
    }

    /// Of MP4, only what its edit list says. Opus has its delay in its own header, and is trimmed already.
    fn trimmed(self, file: &File, signature: Signature) -> Box<dyn Decoder> {
        let is_opus = self.decoder.codec_params().codec == well_known::CODEC_ID_OPUS;
        if signature == Signature::Mp4
            && !is_opus
            && let Some(edit) = edit_list::of(file, self.sound.sample_rate)
        {
            return Box::new(edit_list::Trimmed::new(self, edit));
        }
        Box::new(self)
    }

    /// WAV that somebody is still writing into a pipe.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when it is none.
    pub fn wav_from_pipe(pipe: impl Read + Send + Sync + 'static) -> Result<Self> {
        match Self::parse(Signature::Wav, Box::new(ReadOnlySource::new(pipe))) {
            Ok((inside, _)) => Ok(inside),
            Err(Refusal::Failed(error)) => Err(refused(&error)),
            Err(Refusal::NotHere(what)) => Err(Error::new(Kind::Invalid, what)),
        }
    }

    /// The formats are tried by name, not probed for: a probe searches the first megabyte for something
    /// that looks like a header, and finds it in what is no sound at all.
    fn parse(
        signature: Signature,
        source: Box<dyn MediaSource>,
    ) -> Result<(Self, Option<&'static str>), Refusal> {
        let source = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let options = FormatOptions::default();
        let reader: Box<dyn FormatReader> = match signature {
            Signature::Wav => Box::new(WavReader::try_new(source, options)?),
            Signature::Aiff => Box::new(AiffReader::try_new(source, options)?),
            Signature::Flac => Box::new(FlacReader::try_new(source, options)?),
            Signature::Ogg => Box::new(OggReader::try_new(source, options)?),
            Signature::Mp4 => Box::new(IsoMp4Reader::try_new(source, options)?),
            Signature::Matroska => Box::new(MkvReader::try_new(source, options)?),
            Signature::Mpeg(_) => Box::new(MpaReader::try_new(source, options)?),
            Signature::Adts(_) => Box::new(AdtsReader::try_new(source, options)?),
            Signature::Nothing => {
                return Err(DecoderError::Unsupported("it ends before its first frame").into());
            }
            Signature::Foreign(_) | Signature::Unknown => {
                let known = "no known sound: WAV, AIFF, FLAC, Ogg, MP4, Matroska, MP3 and AAC are, \
                             and with ffmpeg more";
                return Err(DecoderError::Unsupported(known).into());
            }
        };
        let found = audio_track(&*reader).ok_or(DecoderError::Unsupported("no audio track"))?;
        let (track, mut params) = found;
        if signature == Signature::Mp4 {
            turn_pre_skip(&mut params);
        }
        if let Some(what) = not_here(&params) {
            return Err(Refusal::NotHere(what));
        }
        let sound = Sound::of(&params)?;
        let Ok(decoder) = CODECS.make_audio_decoder(&params, &AudioDecoderOptions::default()) else {
            return Err(Refusal::NotHere("what it is encoded in".to_owned()));
        };
        let is_perhaps_core =
            params.codec == well_known::CODEC_ID_AAC && sound.sample_rate <= HIGHEST_CORE_RATE;
        let doubt = is_perhaps_core.then_some("this AAC may be HE-AAC");
        Ok((Self { reader, decoder, track, sound, integers: Vec::new() }, doubt))
    }

    /// Decodes one packet into `ready`.
    ///
    /// # Errors
    /// Those of the file system. Damage is not an error.
    fn step(&mut self, ready: &mut Vec<f32>) -> io::Result<Step> {
        let packet = match self.reader.next_packet() {
            Ok(Some(packet)) => packet,
            // Another stream begins in the same file: more of the same sound is played on.
            Err(DecoderError::ResetRequired) => return Ok(self.chain().unwrap_or(Step::End)),
            // A parser tells a file that ends too early, and only that, by this kind.
            Err(DecoderError::IoError(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(error);
            }
            Ok(None) | Err(_) => return Ok(Step::End),
        };
        if packet.track_id != self.track {
            ready.clear();
            return Ok(Step::Damaged);
        }
        let Ok(decoded) = self.decoder.decode(&packet) else { return Ok(Step::Damaged) };
        let spec = decoded.spec();
        if (spec.rate(), spec.channels().count()) != (self.sound.sample_rate, self.sound.channels.into()) {
            return Ok(Step::Damaged);
        }
        to_f32(&decoded, &mut self.integers, ready);
        Ok(if ready.is_empty() { Step::Damaged } else { Step::Decoded })
    }

    /// Goes over to the next stream of a chain, if it is the same sound.
    fn chain(&mut self) -> Option<Step> {
        let (track, params) = audio_track(&*self.reader)?;
        let decoder = CODECS.make_audio_decoder(&params, &AudioDecoderOptions::default()).ok()?;
        if Sound::of(&params).ok()? != self.sound {
            return None;
        }
        (self.track, self.decoder) = (track, decoder);
        Some(Step::Damaged)
    }
}

impl Decoder for Inside {
    fn sound(&self) -> Sound {
        self.sound
    }

    fn next(&mut self, ready: &mut Vec<f32>) -> Result<()> {
        for _ in 0..MAX_DAMAGED {
            let step = contain("it", || self.step(ready))?.map_err(|error| unreadable(&error))?;
            match step {
                Step::Decoded => return Ok(()),
                Step::Damaged => {}
                Step::End => break,
            }
        }
        ready.clear();
        Ok(())
    }
}

impl Sound {
    fn of(params: &AudioCodecParameters) -> Result<Self, DecoderError> {
        // Opus is decoded at its own rate, whatever the sound had before.
        let is_opus = params.codec == well_known::CODEC_ID_OPUS;
        let sample_rate = if is_opus { Some(48_000) } else { params.sample_rate.filter(|rate| *rate > 0) };
        let channels = params.channels.as_ref().and_then(|channels| u16::try_from(channels.count()).ok());
        match (sample_rate, channels.filter(|count| *count > 0)) {
            (Some(sample_rate), Some(channels)) => Ok(Self { sample_rate, channels, format: format(params) }),
            (None, _) => Err(DecoderError::Unsupported("no sample rate")),
            (_, None) => Err(DecoderError::Unsupported("no channels")),
        }
    }
}

/// The first track of a file that has sound, and how it is encoded.
fn audio_track(reader: &dyn FormatReader) -> Option<(u32, AudioCodecParameters)> {
    reader.tracks().iter().find_map(|track| match &track.codec_params {
        Some(CodecParameters::Audio(params)) => Some((track.id, params.clone())),
        _ => None,
    })
}

/// The decoder reads how much of Opus to skip as Ogg has it. MP4 has the same header, but with the bytes of
/// its numbers the other way round.
fn turn_pre_skip(params: &mut AudioCodecParameters) {
    if params.codec == well_known::CODEC_ID_OPUS
        && let Some([low, high]) = params.extra_data.as_deref_mut().and_then(|header| header.get_mut(10..12))
    {
        std::mem::swap(low, high);
    }
}

/// What it is, if it is known that it cannot be decoded here as it should.
fn not_here(params: &AudioCodecParameters) -> Option<String> {
    let channels = params.channels.as_ref().map_or(0, |channels| channels.count());
    match params.codec {
        // The difference of two 32-bit channels needs 33 bits, which the decoder does not have.
        well_known::CODEC_ID_FLAC if params.bits_per_sample.is_some_and(|bits| bits > 24) => {
            Some("FLAC of 32 bits".to_owned())
        }
        // Symphonia makes noise of it.
        well_known::CODEC_ID_VORBIS if channels > 2 => Some(format!("Vorbis of {channels} channels")),
        well_known::CODEC_ID_OPUS if channels > 2 => Some(format!("Opus of {channels} channels")),
        well_known::CODEC_ID_AAC => {
            let object_type = params.extra_data.as_deref().and_then(aac_object_type);
            object_type.filter(|kind| *kind != 2).map(|kind| match kind {
                5 | 29 => "HE-AAC".to_owned(),
                _ => format!("AAC of object type {kind}"),
            })
        }
        _ => None,
    }
}

/// The object type in an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1): 2 is LC, 5 and 29 are HE-AAC,
/// which may also be told behind the rest, by a synchronisation word.
fn aac_object_type(config: &[u8]) -> Option<u8> {
    let bits = |at: usize, count: usize| -> Option<u32> {
        (at..at + count).try_fold(0, |value, bit| {
            let byte = config.get(bit / 8)?;
            Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
        })
    };
    let object_type = match bits(0, 5)? {
        31 => 32 + bits(5, 6)?,
        short => short,
    };
    // LC: rate and channels, three flags, then perhaps the extension.
    let is_extended = object_type == 2 && bits(5, 4)? != 15 && bits(16, 11) == Some(0x2B7);
    if is_extended && bits(27, 5) == Some(5) && bits(32, 1) == Some(1) {
        return Some(5);
    }
    u8::try_from(object_type).ok()
}

/// ALSA's name of the stored resolution; of what is stored with loss, that of what it is decoded to.
fn format(params: &AudioCodecParameters) -> &'static str {
    match params.codec {
        well_known::CODEC_ID_PCM_U8 => "U8",
        well_known::CODEC_ID_PCM_S8 => "S8",
        well_known::CODEC_ID_PCM_S16LE => "S16_LE",
        well_known::CODEC_ID_PCM_S16BE => "S16_BE",
        well_known::CODEC_ID_PCM_S24LE => "S24_3LE",
        well_known::CODEC_ID_PCM_S24BE => "S24_3BE",
        well_known::CODEC_ID_PCM_S32LE => "S32_LE",
        well_known::CODEC_ID_PCM_S32BE => "S32_BE",
        well_known::CODEC_ID_PCM_F32BE => "FLOAT_BE",
        well_known::CODEC_ID_PCM_F64LE => "FLOAT64_LE",
        well_known::CODEC_ID_PCM_F64BE => "FLOAT64_BE",
        well_known::CODEC_ID_PCM_ALAW => "A_LAW",
        well_known::CODEC_ID_PCM_MULAW => "MU_LAW",
        well_known::CODEC_ID_FLAC | well_known::CODEC_ID_ALAC => match params.bits_per_sample {
            Some(..=8) => "S8",
            Some(9..=16) => "S16_LE",
            Some(17..=24) => "S24_3LE",
            _ => "S32_LE",
        },
        _ => "FLOAT_LE",
    }
}

/// One packet as interleaved `f32`; `integers` is working space.
fn to_f32(packet: &GenericAudioBufferRef<'_>, integers: &mut Vec<i32>, out: &mut Vec<f32>) {
    if let GenericAudioBufferRef::F32(_) | GenericAudioBufferRef::F64(_) = packet {
        packet.copy_to_vec_interleaved(out);
        out.iter_mut().filter(|sample| !sample.is_finite()).for_each(|sample| *sample = 0.0);
    } else {
        // The lower 8 bits are cut as those of a device are (`dsp::convert`): 24 bits fit a float's
        // mantissa, so the cast is exact and no sample rounds up to +1.
        packet.copy_to_vec_interleaved(integers);
        out.clear();
        out.extend(integers.iter().map(|value| (value >> 8) as f32 / SCALE_24));
    }
}

/// The file from that byte on, by a descriptor of its own.
fn from(file: &File, start: u64) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(start))?;
    Ok(file)
}

/// What an error in a header means.
fn refused(error: &DecoderError) -> Error {
    match error {
        DecoderError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(Kind::Invalid, "it ends before its first frame")
        }
        DecoderError::IoError(error) => unreadable(error),
        DecoderError::Unsupported(what) => Error::new(Kind::Invalid, format!("not supported: {what}")),
        other => Error::new(Kind::Invalid, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::aac_object_type;

    #[test]
    fn he_aac_is_known_by_its_configuration() {
        for (config, object_type) in [
            // LC at 44.1 kHz, stereo; the same with HE-AAC told behind it.
            (&[0x12, 0x10][..], Some(2)),
            (&[0x13, 0x90, 0x56, 0xE5, 0xA0], Some(5)),
            // HE-AAC and its second version, told in front.
            (&[0x2B, 0x92, 0x08, 0x00], Some(5)),
            (&[0xEB, 0x8A, 0x08, 0x00], Some(29)),
            // xHE-AAC has an escaped number.
            (&[0xF9, 0x48, 0x80], Some(42)),
            (&[], None),
        ] {
            assert_eq!(aac_object_type(config), object_type, "{config:02x?}");
        }
    }
}
