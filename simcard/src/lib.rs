//! The plugin: an ALSA capture PCM in user space, which alsa-lib loads into its client.
//!
//! Here: the entry point that alsa-lib looks up. `settings` reads the asoundrc, `stream` is the card's behaviour,
//! `callbacks` its border to alsa-lib, whose structures are in `ffi`; `ring`, `convert` and `content` are what a
//! stream is made of, `wake` what its client polls. Not here: steering the card, which is `talas-simcard-control`.
//!
//! Nothing unwinds across the border: the entry point and every callback go through a guard.

mod callbacks;
mod content;
mod convert;
mod ffi;
mod ring;
mod settings;
mod stream;
mod wake;

use std::ffi::{c_char, c_int, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind};

use alsa_sys::{SND_PCM_STREAM_CAPTURE, snd_config_t, snd_pcm_t};
use talas_simcard_control::control::Control;

use crate::content::Content;
use crate::ffi::Errno;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::wake::Wake;

/// alsa-lib refuses a plugin that does not export this beside its open function.
#[expect(unsafe_code, reason = "an exported symbol")]
// SAFETY: the name is one that only a plugin of this type has.
#[unsafe(no_mangle)]
pub static __snd_pcm_talassim_open_dlsym_pcm_001: c_char = 0;

/// Opens a PCM of type `talassim`; 0, or a negative errno.
///
/// # Safety
///
/// For alsa-lib only: `pcm` must be writable, `name` a C string, `conf` the PCM's configuration node.
#[expect(unsafe_code, reason = "an exported symbol that takes pointers")]
// SAFETY: the name is one that only a plugin of this type has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _snd_pcm_talassim_open(
    pcm: *mut *mut snd_pcm_t,
    name: *const c_char,
    _root: *mut snd_config_t,
    conf: *mut snd_config_t,
    direction: c_uint,
    mode: c_int,
) -> c_int {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        if direction != SND_PCM_STREAM_CAPTURE {
            return Err(Errno(libc::ENOENT));
        }
        // SAFETY: alsa-lib hands over a live configuration node.
        let settings = unsafe { Settings::read(conf) }?;
        let stream = open_stream(&settings)?;
        // SAFETY: `name` is alsa-lib's, and outlives the call.
        unsafe { callbacks::create(stream, &settings, name, mode) }
    }));
    match opened.unwrap_or(Err(Errno(libc::EIO))) {
        Ok(handle) => {
            // SAFETY: alsa-lib passes a place for the handle.
            unsafe { *pcm = handle };
            0
        }
        Err(Errno(errno)) => -errno,
    }
}

/// The card's side of opening it: there, free, and with something to play.
fn open_stream(settings: &Settings) -> Result<Stream, Errno> {
    let control = Control::open(&settings.control)?;
    stream::admit(&control)?;
    let content = Content::open(settings.file.as_deref(), settings.card_channels(), settings.looped)?;
    let wake = Wake::new(&settings.control)?;
    Ok(Stream::new(control, content, wake))
}
