//! A file played in real time.

use talas_wire::SourceKind;

use super::paced::{PacedSession, Program};
use super::settings::FileSettings;
use super::{Session, Settings, Source};
use crate::codec::decode::AudioFile;
use crate::error::{Error, Kind, Result};

/// A sound file as a source.
pub struct FileSource {
    settings: Settings,
    file: FileSettings,
    /// It was played to its end and is not to be repeated.
    finished: bool,
}

impl FileSource {
    pub fn new(settings: &Settings, file: &FileSettings) -> Self {
        Self { settings: settings.clone(), file: file.clone(), finished: false }
    }

    fn check(&self, audio: &AudioFile) -> Result<()> {
        let path = self.file.path.display();
        let (rate, wanted) = (audio.sample_rate(), self.settings.sample_rate);
        if rate != wanted {
            let message = format!(
                "{path} has {rate} Hz and capture.sample_rate is {wanted}: set capture.sample_rate = {rate}, \
                 or convert the file"
            );
            return Err(Error::new(Kind::Invalid, message));
        }
        let shown = self.settings.channel_a.max(self.settings.channel_b);
        if audio.channels() > 1 && shown >= audio.channels() {
            let message = format!(
                "{path} has {} channels, and capture.channel_a and channel_b ask for number {shown} (counted from 0)",
                audio.channels()
            );
            return Err(Error::new(Kind::Invalid, message));
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn kind(&self) -> SourceKind {
        SourceKind::File
    }

    fn name(&self) -> String {
        self.file.path.display().to_string()
    }

    fn open(&mut self) -> Result<Box<dyn Session>> {
        if self.finished {
            return Err(Error::new(Kind::Gone, "the file was played to its end"));
        }
        let audio = AudioFile::open(&self.file.path)?;
        self.check(&audio)?;
        // A session that is not repeated ends by itself, and there is no second one.
        self.finished = !self.file.repeat;
        let playback = Playback { audio, repeat: self.file.repeat };
        Ok(Box::new(PacedSession::new(playback, &self.settings)))
    }
}

struct Playback {
    audio: AudioFile,
    repeat: bool,
}

impl Program for Playback {
    fn format(&self) -> &'static str {
        self.audio.format()
    }

    fn channels(&self) -> u16 {
        self.audio.channels()
    }

    fn fill(&mut self, out: &mut [f32]) -> Result<usize> {
        let channels = usize::from(self.audio.channels());
        let wanted = out.len() / channels;
        let mut filled = self.audio.read(out)?;
        while filled < wanted && self.repeat {
            self.audio.rewind()?;
            let more = self.audio.read(&mut out[filled * channels..])?;
            if more == 0 {
                return Err(Error::new(Kind::Invalid, "the file has no sound any more"));
            }
            filled += more;
        }
        Ok(filled)
    }
}
