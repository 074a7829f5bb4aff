//! Opening an ALSA capture device and agreeing on parameters: format, channels, rate, period, buffer.
//!
//! Errors name the device, the parameter and what the device offers instead.

use alsa::pcm::{Access, Format, Frames, HwParams, PCM, TstampType};
use alsa::{Direction, ValueOr};

use super::{Granted, Settings, period_frames};
use crate::audio::SampleFormat;
use crate::error::{Error, Kind, Result};

/// An open, configured, not yet started device.
pub struct Opened {
    /// The device.
    pub pcm: PCM,
    /// Its sample format.
    pub format: SampleFormat,
    /// What was agreed.
    pub granted: Granted,
}

/// ALSA's constant for a format of ours.
pub fn alsa_format(format: SampleFormat) -> Format {
    match format {
        SampleFormat::S32 => Format::S32LE,
        SampleFormat::S24In3 => Format::S243LE,
        SampleFormat::S24In4 => Format::S24LE,
        SampleFormat::S16 => Format::S16LE,
        SampleFormat::F32 => Format::FloatLE,
    }
}

/// The error number beneath an ALSA error. Some of the library's functions report it negated.
pub fn errno(error: &alsa::Error) -> i32 {
    error.errno().abs()
}

/// An error that says which device failed and how.
pub fn device_error(device: &str, error: &alsa::Error) -> Error {
    let number = errno(error);
    let reason = match number {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => {
            return Error::new(Kind::Gone, format!("no device {device}"));
        }
        libc::EBUSY => {
            return Error::new(Kind::Busy, format!("{device} is in use{}", super::devices::holders(device)));
        }
        libc::EACCES | libc::EPERM => "permission denied: is the user in group audio?".to_owned(),
        _ => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
    };
    Error::new(Kind::Gone, format!("cannot open {device}: {reason}"))
}

/// Opens a device for capture and configures it.
///
/// # Errors
/// [`Kind::Gone`] when there is none, [`Kind::Busy`] when another program has it,
/// [`Kind::Invalid`] when it cannot do what the settings ask.
pub fn open(device: &str, settings: &Settings) -> Result<Opened> {
    let pcm = PCM::new(device, Direction::Capture, true).map_err(|error| device_error(device, &error))?;
    let format = agree(&pcm, device, settings)?;
    let granted = read_back(&pcm, format).map_err(|error| device_error(device, &error))?;
    check_channels(device, &granted, settings)?;
    configure_software(&pcm, granted.period_frames, granted.buffer_frames)
        .map_err(|error| refused(device, "software parameters", &error, ""))?;
    Ok(Opened { pcm, format, granted })
}

fn refused(device: &str, what: &str, error: &alsa::Error, offers: &str) -> Error {
    let reason = nix::errno::Errno::from_raw(errno(error)).desc().to_lowercase();
    Error::new(Kind::Invalid, format!("{device} refuses {what} ({reason}){offers}"))
}

/// Agrees on the hardware parameters, in the order in which each narrows the next.
fn agree(pcm: &PCM, device: &str, settings: &Settings) -> Result<SampleFormat> {
    let fail = |what: &str, error: alsa::Error| refused(device, what, &error, "");
    let params = HwParams::any(pcm).map_err(|error| device_error(device, &error))?;
    // Without this a `plug` device resamples behind our back, and drift and gaps would be its own.
    params.set_rate_resample(false).map_err(|error| fail("native rates", error))?;
    params.set_access(Access::RWInterleaved).map_err(|error| fail("interleaved access", error))?;
    let format = SampleFormat::BEST_FIRST
        .into_iter()
        .find(|format| params.test_format(alsa_format(*format)).is_ok())
        .ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("{device} has none of S32, S24_3LE, S24, S16, FLOAT (little-endian)"),
            )
        })?;
    params.set_format(alsa_format(format)).map_err(|error| fail(format.name(), error))?;
    params
        .set_channels_near(settings.channels.into())
        .map_err(|error| fail("any number of channels", error))?;
    set_rate(&params, device, settings.sample_rate)?;
    let period = Frames::from(period_frames(settings));
    params.set_period_size_near(period, ValueOr::Nearest).map_err(|error| fail("a period", error))?;
    let buffer = Frames::from(settings.sample_rate) * Frames::from(settings.buffer_ms) / 1000;
    params.set_buffer_size_near(buffer).map_err(|error| fail("a buffer", error))?;
    pcm.hw_params(&params).map_err(|error| match errno(&error) {
        libc::EBUSY => device_error(device, &error),
        _ => fail("these parameters together", error),
    })?;
    Ok(format)
}

fn set_rate(params: &HwParams<'_>, device: &str, rate: u32) -> Result<()> {
    params.set_rate(rate, ValueOr::Nearest).map_err(|error| {
        let offers = match (params.get_rate_min(), params.get_rate_max()) {
            (Ok(min), Ok(max)) if min == max => {
                format!("; it runs at {min} Hz: set capture.sample_rate = {min}")
            }
            (Ok(min), Ok(max)) => format!("; it offers {min} to {max} Hz"),
            _ => String::new(),
        };
        refused(device, &format!("{rate} Hz"), &error, &offers)
    })
}

fn read_back(pcm: &PCM, format: SampleFormat) -> alsa::Result<Granted> {
    let current = pcm.hw_params_current()?;
    let frames = |value: Frames| u32::try_from(value).unwrap_or(0);
    Ok(Granted {
        format: format.name(),
        channels: u16::try_from(current.get_channels()?).unwrap_or(u16::MAX),
        period_frames: frames(current.get_period_size()?),
        buffer_frames: frames(current.get_buffer_size()?),
    })
}

fn check_channels(device: &str, granted: &Granted, settings: &Settings) -> Result<()> {
    // A mono device feeds both shown channels, whatever they are set to.
    let wanted = settings.channel_a.max(settings.channel_b);
    if granted.channels == 1 || wanted < granted.channels {
        return Ok(());
    }
    let message = format!(
        "{device} has {} channels, and capture.channel_a and channel_b ask for number {wanted} (counted from 0)",
        granted.channels
    );
    Err(Error::new(Kind::Invalid, message))
}

/// Start on demand only; an overrun is an event, never silent; a wake for each period; time stamps by
/// the monotonic clock.
fn configure_software(pcm: &PCM, period_frames: u32, buffer_frames: u32) -> alsa::Result<()> {
    let apply = |with_clock: bool| {
        let params = pcm.sw_params_current()?;
        params.set_start_threshold(params.get_boundary()?)?;
        params.set_stop_threshold(Frames::from(buffer_frames))?;
        params.set_avail_min(Frames::from(period_frames))?;
        params.set_tstamp_mode(true)?;
        if with_clock {
            params.set_tstamp_type(TstampType::Monotonic)?;
        }
        pcm.sw_params(&params)
    };
    // Some plugins know no time-stamp types; what they use is the monotonic clock all the same.
    apply(true).or_else(|_| apply(false))
}
