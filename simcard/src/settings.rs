//! Reads the PCM's definition in the asoundrc. Every key is known here; an unknown one is an error, told through
//! alsa-lib's error handler.

#![expect(unsafe_code, reason = "alsa-lib's configuration tree")]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::path::PathBuf;
use std::ptr;

use alsa_sys::{
    snd_config_get_bool, snd_config_get_id, snd_config_get_integer, snd_config_get_string,
    snd_config_iterator_end, snd_config_iterator_entry, snd_config_iterator_first, snd_config_iterator_next,
    snd_config_t, snd_lib_error_handler_t,
};
use talas_simcard_control::Format;

use crate::ffi::Errno;

/// A period must hold more than the timer's and the scheduler's noise.
const PERIOD_MIN_FRAMES: u32 = 16;
/// 2.7 s at 48 kHz.
const BUFFER_MAX_FRAMES: u32 = 1 << 17;

/// What the asoundrc says of a card.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The samples; none = the ramp.
    pub file: Option<PathBuf>,
    /// The control file.
    pub control: PathBuf,
    /// Rates offered, in Hz.
    pub rates: Vec<u32>,
    /// Channel counts offered.
    pub channels: Vec<u32>,
    /// Formats offered.
    pub formats: Vec<Format>,
    /// Whether the content starts over at its end.
    pub looped: bool,
    /// The shortest period, in frames.
    pub period_min: u32,
    /// The longest period, in frames; none = half the largest buffer.
    pub period_max: Option<u32>,
    /// The largest buffer, in frames.
    pub buffer_max: u32,
}

impl Settings {
    /// # Safety
    ///
    /// `conf` must be a live compound node of alsa-lib.
    pub unsafe fn read(conf: *const snd_config_t) -> Result<Self, Errno> {
        let mut settings = Self {
            file: None,
            control: PathBuf::new(),
            rates: vec![48_000],
            channels: vec![2],
            formats: vec![Format::S16Le],
            looped: true,
            period_min: PERIOD_MIN_FRAMES,
            period_max: None,
            buffer_max: BUFFER_MAX_FRAMES,
        };
        // SAFETY: the caller's promise; iterators stay valid while the node lives unchanged.
        unsafe {
            let end = snd_config_iterator_end(conf);
            let mut place = snd_config_iterator_first(conf);
            while place != end {
                settings.take(&Node(snd_config_iterator_entry(place)))?;
                place = snd_config_iterator_next(place);
            }
        }
        settings.check()
    }

    fn take(&mut self, node: &Node) -> Result<(), Errno> {
        let key = node.key();
        let value = match key.as_str() {
            "type" | "comment" | "hint" => Some(()),
            "file" => node.text().map(|path| self.file = Some(path.into())),
            "control" => node.text().map(|path| self.control = path.into()),
            "rates" => node.numbers().map(|rates| self.rates = rates),
            "channels" => node.numbers().map(|channels| self.channels = channels),
            "formats" => node.formats().map(|formats| self.formats = formats),
            "loop" => node.truth().map(|looped| self.looped = looped),
            "period_min" => node.number().map(|frames| self.period_min = frames),
            "period_max" => node.number().map(|frames| self.period_max = Some(frames)),
            "buffer_max" => node.number().map(|frames| self.buffer_max = frames),
            _ => return Err(complain(&format!("unknown key {key}"))),
        };
        value.ok_or_else(|| complain(&format!("cannot use the value of {key}")))
    }

    fn check(self) -> Result<Self, Errno> {
        if self.control.as_os_str().is_empty() {
            return Err(complain("needs the key control"));
        }
        Ok(self)
    }

    /// How many channels the card's samples have.
    pub fn card_channels(&self) -> u32 {
        self.channels.iter().copied().max().unwrap_or(1)
    }

    /// The longest period, in frames.
    pub fn longest_period(&self) -> u32 {
        self.period_max.unwrap_or(self.buffer_max / 2)
    }

    /// Bytes of the smallest and of the largest frame that a client can ask for.
    pub fn frame_bytes(&self) -> (u32, u32) {
        let sample = |format: &Format| format.sample_bytes() as u32;
        let narrow = self.formats.iter().map(sample).min().unwrap_or(1);
        let wide = self.formats.iter().map(sample).max().unwrap_or(1);
        (narrow * self.channels.iter().copied().min().unwrap_or(1), wide * self.card_channels())
    }
}

/// A live node of the configuration.
struct Node(*const snd_config_t);

impl Node {
    fn key(&self) -> String {
        let mut id: *const c_char = ptr::null();
        // SAFETY: the node is live; the string is its own and copied at once.
        unsafe {
            if snd_config_get_id(self.0, &raw mut id) < 0 || id.is_null() {
                return String::new();
            }
            CStr::from_ptr(id).to_string_lossy().into_owned()
        }
    }

    fn text(&self) -> Option<String> {
        let mut text: *const c_char = ptr::null();
        // SAFETY: the node is live; the string is its own and copied at once.
        unsafe {
            if snd_config_get_string(self.0, &raw mut text) < 0 || text.is_null() {
                return None;
            }
            CStr::from_ptr(text).to_str().ok().map(str::to_owned)
        }
    }

    fn number(&self) -> Option<u32> {
        let mut number: c_long = 0;
        // SAFETY: the node is live and `number` a place for the value.
        let read = unsafe { snd_config_get_integer(self.0, &raw mut number) };
        u32::try_from(number).ok().filter(|&number| read == 0 && number > 0)
    }

    fn truth(&self) -> Option<bool> {
        // SAFETY: the node is live.
        match unsafe { snd_config_get_bool(self.0) } {
            negative if negative < 0 => None,
            truth => Some(truth != 0),
        }
    }

    /// One number, or a string of them.
    fn numbers(&self) -> Option<Vec<u32>> {
        match self.number() {
            Some(number) => Some(vec![number]),
            None => self.list(|word| word.parse().ok().filter(|&number| number > 0)),
        }
    }

    fn formats(&self) -> Option<Vec<Format>> {
        self.list(Format::from_alsa_name)
    }

    fn list<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        let text = self.text()?;
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let list: Option<Vec<T>> = words.map(parse).collect();
        list.filter(|list| !list.is_empty())
    }
}

unsafe extern "C" {
    // alsa-lib's own variable; what `SNDERR` in a plugin written in C calls.
    static snd_lib_error: snd_lib_error_handler_t;
}

/// Tells people what is wrong with their asoundrc.
fn complain(what: &str) -> Errno {
    let message = CString::new(format!("talassim: {what}")).unwrap_or_default();
    // SAFETY: read once, as C does; the handler takes C strings, and the format uses exactly one.
    unsafe {
        if let Some(handler) = snd_lib_error {
            let errno: c_int = 0;
            handler(c"settings.rs".as_ptr(), 0, c"read".as_ptr(), errno, c"%s".as_ptr(), message.as_ptr());
        }
    }
    Errno(libc::EINVAL)
}
