//! Writes a card's folder: samples, control block, asoundrc. Not here: steering it (`card`), finding the plugin
//! (`plugin`).

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::card::{CONF_FILE, CONTROL_FILE, Card, DEFINITION_FILE, SAMPLES_FILE, SYSTEM_CONF};
use crate::content::Format;
use crate::control::Control;
use crate::plugin;

/// What a card's PCM is called unless [`Builder::name`] says otherwise.
pub const DEFAULT_NAME: &str = "talassim";

/// A card in the making. Unless told otherwise: stereo, 48 kHz, S16 and S32, playing the ramp.
#[derive(Clone, Debug)]
#[must_use = "`create` makes the card"]
pub struct Builder {
    dir: PathBuf,
    name: String,
    description: String,
    plugin: Option<PathBuf>,
    default_pcm: bool,
    rates: Vec<u32>,
    channels: Vec<u32>,
    formats: Vec<Format>,
    looped: bool,
    period_frames: Option<RangeInclusive<u32>>,
    buffer_max_frames: Option<u32>,
    samples: Option<Vec<i32>>,
}

impl Builder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            name: DEFAULT_NAME.to_owned(),
            description: "Talas simulated card".to_owned(),
            plugin: None,
            default_pcm: false,
            rates: vec![48_000],
            channels: vec![2],
            formats: vec![Format::S16Le, Format::S32Le],
            looped: true,
            period_frames: None,
            buffer_max_frames: None,
            samples: None,
        }
    }

    /// What the PCM is called: the name to give `arecord -D`.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// What `arecord -L` says about it.
    pub fn description(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    /// The plugin to load; without this, [`plugin::find`] looks for it.
    pub fn plugin(mut self, path: &Path) -> Self {
        self.plugin = Some(path.to_owned());
        self
    }

    /// Whether the card is also the PCM called `default`, with conversions.
    pub fn default_pcm(mut self, default_pcm: bool) -> Self {
        self.default_pcm = default_pcm;
        self
    }

    /// The sample rates it offers, in Hz.
    pub fn rates(mut self, rates: &[u32]) -> Self {
        rates.clone_into(&mut self.rates);
        self
    }

    /// The channel counts it offers. Samples have as many channels as the largest; who opens fewer gets the first.
    pub fn channels(mut self, channels: &[u32]) -> Self {
        channels.clone_into(&mut self.channels);
        self
    }

    /// The formats it offers.
    pub fn formats(mut self, formats: &[Format]) -> Self {
        formats.clone_into(&mut self.formats);
        self
    }

    /// Whether the content starts over at its end (it does by default), or is followed by silence.
    pub fn looped(mut self, looped: bool) -> Self {
        self.looped = looped;
        self
    }

    /// The periods it can do, in frames.
    pub fn period_frames(mut self, frames: RangeInclusive<u32>) -> Self {
        self.period_frames = Some(frames);
        self
    }

    /// The largest buffer it can do, in frames.
    pub fn buffer_max_frames(mut self, frames: u32) -> Self {
        self.buffer_max_frames = Some(frames);
        self
    }

    /// Plays the ramp, in which every frame carries its own number (`content`). This is the default.
    pub fn ramp(mut self) -> Self {
        self.samples = None;
        self
    }

    /// Plays these interleaved 16-bit samples.
    pub fn samples_s16(self, samples: &[i16]) -> Self {
        self.samples(samples.iter().map(|&sample| i32::from(sample) << 16).collect())
    }

    /// Plays these interleaved 24-bit samples, each in [-2^23, 2^23).
    pub fn samples_s24(self, samples: &[i32]) -> Self {
        self.samples(samples.iter().map(|&sample| sample << 8).collect())
    }

    /// Plays these interleaved 32-bit samples.
    pub fn samples_s32(self, samples: &[i32]) -> Self {
        self.samples(samples.to_vec())
    }

    fn samples(mut self, samples: Vec<i32>) -> Self {
        self.samples = Some(samples);
        self
    }

    /// Writes the folder, creating it if need be, and hands over the card: plugged in, its clock not yet started.
    pub fn create(self) -> io::Result<Card> {
        self.check()?;
        fs::create_dir_all(&self.dir)?;
        // alsa-lib resolves nothing against the folder of its configuration: every path in it is absolute.
        let dir = self.dir.canonicalize()?;
        if dir.to_string_lossy().contains([' ', ':']) {
            return Err(invalid(
                "spaces and colons separate the files in ALSA_CONFIG_PATH: not in a card's path",
            ));
        }
        let plugin = match &self.plugin {
            Some(path) => path.canonicalize()?,
            None => plugin::find()?,
        };
        match &self.samples {
            Some(samples) => write_samples(&dir.join(SAMPLES_FILE), samples)?,
            None => remove_if_there(&dir.join(SAMPLES_FILE))?,
        }
        let control = Control::create(&dir.join(CONTROL_FILE))?;
        let definition = dir.join(DEFINITION_FILE);
        fs::write(&definition, self.definition(&dir, &plugin)?)?;
        fs::write(dir.join(CONF_FILE), format!("<{SYSTEM_CONF}>\n<{}>\n", definition.display()))?;
        Ok(Card::new(dir, control))
    }

    fn check(&self) -> io::Result<()> {
        let ok_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let widest = self.channels.iter().copied().max().unwrap_or(0) as usize;
        let whole_frames = |samples: &[i32]| !samples.is_empty() && samples.len().is_multiple_of(widest);
        if self.name.is_empty() || !self.name.chars().all(ok_name) {
            return Err(invalid("a PCM's name is letters, digits, _ and -"));
        }
        if self.rates.is_empty() || self.rates.contains(&0) {
            return Err(invalid("a card needs rates, none of them 0"));
        }
        if self.channels.is_empty() || self.channels.contains(&0) {
            return Err(invalid("a card needs channel counts, none of them 0"));
        }
        if self.formats.is_empty() {
            return Err(invalid("a card needs a format"));
        }
        if !self.samples.as_deref().is_none_or(whole_frames) {
            return Err(invalid("samples are whole frames of the largest channel count, one at least"));
        }
        Ok(())
    }

    fn definition(&self, dir: &Path, plugin: &Path) -> io::Result<String> {
        let formats: Vec<_> = self.formats.iter().map(|format| format.alsa_name()).collect();
        let mut keys = vec![
            ("type", "talassim".to_owned()),
            ("control", quoted_path(&dir.join(CONTROL_FILE))?),
            ("rates", quoted(&spaced(&self.rates))),
            ("channels", quoted(&spaced(&self.channels))),
            ("formats", quoted(&formats.join(" "))),
            ("loop", self.looped.to_string()),
            ("hint", format!("{{ show on description {} }}", quoted(&self.description))),
        ];
        if self.samples.is_some() {
            keys.push(("file", quoted_path(&dir.join(SAMPLES_FILE))?));
        }
        if let Some(frames) = &self.period_frames {
            keys.push(("period_min", frames.start().to_string()));
            keys.push(("period_max", frames.end().to_string()));
        }
        if let Some(frames) = self.buffer_max_frames {
            keys.push(("buffer_max", frames.to_string()));
        }
        let name = &self.name;
        let mut text = format!("pcm_type.talassim {{ lib {} }}\npcm.{name} {{\n", quoted_path(plugin)?);
        for (key, value) in keys {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {key} {value}");
        }
        text.push_str("}\n");
        if self.default_pcm {
            let _ = writeln!(text, "pcm.!default {{ type plug slave.pcm {} }}", quoted(name));
        }
        Ok(text)
    }
}

fn write_samples(path: &Path, samples: &[i32]) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    for sample in samples {
        file.write_all(&sample.to_le_bytes())?;
    }
    file.flush()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn spaced(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

fn quoted_path(path: &Path) -> io::Result<String> {
    path.to_str().map(quoted).ok_or_else(|| invalid("the card's paths must be UTF-8"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}
