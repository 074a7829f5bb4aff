//! The border to alsa-lib: makes the PCM, and turns each callback into a call of [`Stream`].
//!
//! alsa-lib and the plugin share one [`Ioplug`]; its private pointer is the [`Stream`], an allocation of its own, so
//! that both can be borrowed at once. A PCM handle belongs to one thread at a time, as alsa-lib's own structures
//! require. Nothing unwinds out of here: [`enter`] turns a panic into EIO.

#![expect(unsafe_code, reason = "callbacks from C, with pointers")]

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_ushort, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

use alsa_sys::{
    SND_PCM_ACCESS_MMAP_INTERLEAVED, SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_FORMAT_FLOAT_LE,
    SND_PCM_FORMAT_S16_LE, SND_PCM_FORMAT_S24_3LE, SND_PCM_FORMAT_S24_LE, SND_PCM_FORMAT_S32_LE,
    SND_PCM_STREAM_CAPTURE, snd_pcm_channel_area_t, snd_pcm_hw_params_t, snd_pcm_sw_params_get_avail_min,
    snd_pcm_sw_params_get_boundary, snd_pcm_sw_params_t, snd_pcm_t,
};
use libc::pollfd;
use talas_simcard_control::Format;

use crate::ffi::{
    Callbacks, Errno, FLAG_BOUNDARY_WA, FLAG_MONOTONIC, Ioplug, Param, VERSION, snd_pcm_ioplug_create,
    snd_pcm_ioplug_delete, snd_pcm_ioplug_set_param_list, snd_pcm_ioplug_set_param_minmax,
};
use crate::settings::Settings;
use crate::stream::Stream;

/// As many periods as fit the largest buffer.
const PERIODS: (u32, u32) = (2, 8192);
/// The timer and the bell.
const DESCRIPTORS: c_int = 2;

static CALLBACKS: Callbacks = Callbacks {
    start,
    stop,
    pointer,
    transfer,
    close,
    hw_params,
    hw_free: None,
    sw_params,
    prepare,
    drain,
    pause: None,
    resume,
    poll_descriptors_count,
    poll_descriptors,
    poll_revents,
    dump: None,
    delay: None,
    query_chmaps: None,
    get_chmap: None,
    set_chmap: None,
};

/// Makes a PCM of `stream`, which it owns from then on.
///
/// # Safety
///
/// `name` must be a C string; alsa-lib copies it.
pub unsafe fn create(
    stream: Stream,
    settings: &Settings,
    name: *const c_char,
    mode: c_int,
) -> Result<*mut snd_pcm_t, Errno> {
    let [timer, _] = stream.wake().descriptors();
    let io = Box::into_raw(Box::new(ioplug(timer)));
    // SAFETY: `io` is ours until alsa-lib has it, and then until `close`; it does not move.
    unsafe {
        (*io).private_data = Box::into_raw(Box::new(stream)).cast();
        if let Err(errno) = Errno::check(snd_pcm_ioplug_create(io, name, SND_PCM_STREAM_CAPTURE, mode)) {
            free(io);
            return Err(errno);
        }
        if let Err(errno) = constrain(io, settings) {
            // Frees both through `close`.
            snd_pcm_ioplug_delete(io);
            return Err(errno);
        }
        Ok((*io).pcm)
    }
}

fn ioplug(timer: c_int) -> Ioplug {
    Ioplug {
        version: VERSION,
        name: c"Talas simulated card".as_ptr(),
        flags: FLAG_MONOTONIC | FLAG_BOUNDARY_WA,
        poll_fd: timer,
        poll_events: c_uint::from(libc::POLLIN.cast_unsigned()),
        mmap_rw: 0,
        callback: &raw const CALLBACKS,
        private_data: ptr::null_mut(),
        pcm: ptr::null_mut(),
        stream: SND_PCM_STREAM_CAPTURE,
        state: 0,
        appl_ptr: 0,
        hw_ptr: 0,
        nonblock: 0,
        access: 0,
        format: 0,
        channels: 0,
        rate: 0,
        period_size: 0,
        buffer_size: 0,
    }
}

/// Says what the card can do. alsa-lib wants sizes in bytes, so limits in frames hold for every frame size: the
/// least is that of the largest frame, the most that of the smallest.
fn constrain(io: *mut Ioplug, settings: &Settings) -> Result<(), Errno> {
    let formats: Vec<c_uint> = settings.formats.iter().map(|&format| code(format).cast_unsigned()).collect();
    let (narrow, wide) = settings.frame_bytes();
    let period = (settings.period_min.saturating_mul(wide), settings.longest_period().saturating_mul(narrow));
    let buffer = (period.0.saturating_mul(PERIODS.0), settings.buffer_max.saturating_mul(narrow));
    list(io, Param::Access, &[SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED])?;
    list(io, Param::Format, &formats)?;
    list(io, Param::Channels, &settings.channels)?;
    list(io, Param::Rate, &settings.rates)?;
    minmax(io, Param::PeriodBytes, period)?;
    minmax(io, Param::BufferBytes, buffer)?;
    minmax(io, Param::Periods, PERIODS)
}

fn list(io: *mut Ioplug, param: Param, values: &[c_uint]) -> Result<(), Errno> {
    // SAFETY: `io` is a created ioplug; alsa-lib copies the list.
    let set =
        unsafe { snd_pcm_ioplug_set_param_list(io, param as c_int, values.len() as c_uint, values.as_ptr()) };
    Errno::check(set).map(|_| ())
}

fn minmax(io: *mut Ioplug, param: Param, (min, max): (u32, u32)) -> Result<(), Errno> {
    // SAFETY: `io` is a created ioplug.
    let set = unsafe { snd_pcm_ioplug_set_param_minmax(io, param as c_int, min, max) };
    Errno::check(set).map(|_| ())
}

fn code(format: Format) -> c_int {
    match format {
        Format::S16Le => SND_PCM_FORMAT_S16_LE,
        Format::S24In3Le => SND_PCM_FORMAT_S24_3LE,
        Format::S24Le => SND_PCM_FORMAT_S24_LE,
        Format::S32Le => SND_PCM_FORMAT_S32_LE,
        Format::FloatLe => SND_PCM_FORMAT_FLOAT_LE,
    }
}

/// Runs the body of a callback. What it returns is alsa-lib's convention: a value, or a negative errno.
///
/// # Safety
///
/// `io` must be the ioplug that [`create`] made, not yet closed, and not in use by another callback.
unsafe fn enter<T: From<c_int>>(
    io: *mut Ioplug,
    body: impl FnOnce(&mut Stream, &mut Ioplug) -> Result<T, Errno>,
) -> T {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise; the stream is an allocation of its own, so the two do not overlap.
        let (stream, io) = unsafe { (&mut *(*io).private_data.cast::<Stream>(), &mut *io) };
        body(stream, io)
    }));
    outcome.unwrap_or(Err(Errno(libc::EIO))).unwrap_or_else(|Errno(errno)| T::from(-errno))
}

unsafe extern "C" fn start(io: *mut Ioplug) -> c_int {
    // SAFETY: alsa-lib calls with the PCM's own ioplug, one call at a time.
    unsafe { enter(io, |stream, io| stream.start(io).map(|()| 0)) }
}

unsafe extern "C" fn stop(io: *mut Ioplug) -> c_int {
    // SAFETY: as in `start`.
    unsafe {
        enter(io, |stream, _| {
            stream.stop();
            Ok(0)
        })
    }
}

unsafe extern "C" fn pointer(io: *mut Ioplug) -> c_long {
    // SAFETY: as in `start`.
    unsafe { enter(io, |stream, io| stream.pointer(io).map(u64::cast_signed)) }
}

unsafe extern "C" fn transfer(
    io: *mut Ioplug,
    areas: *const snd_pcm_channel_area_t,
    offset: c_ulong,
    size: c_ulong,
) -> c_long {
    // SAFETY: as in `start`. Access is interleaved, so the first channel's area is where frames begin, each `step`
    // bits from the last, whole and without holes; alsa-lib has room for `size` of them from `offset` on.
    unsafe {
        enter(io, |stream, io| {
            let area = &*areas;
            let begin = (area.first as usize + area.step as usize * offset as usize) / 8;
            let to = area.addr.cast::<u8>().add(begin);
            let bytes = size as usize * stream.frame_bytes();
            stream.transfer(io, slice::from_raw_parts_mut(to, bytes))?;
            Ok(size.cast_signed())
        })
    }
}

unsafe extern "C" fn hw_params(io: *mut Ioplug, _params: *mut snd_pcm_hw_params_t) -> c_int {
    // SAFETY: as in `start`.
    unsafe {
        enter(io, |stream, io| {
            let format = Format::ALL.into_iter().find(|&format| code(format) == io.format);
            stream.configure(io, format.ok_or(Errno(libc::EINVAL))?);
            Ok(0)
        })
    }
}

unsafe extern "C" fn sw_params(io: *mut Ioplug, params: *mut snd_pcm_sw_params_t) -> c_int {
    // SAFETY: as in `start`; `params` is alsa-lib's.
    unsafe {
        enter(io, |stream, _| {
            let (mut boundary, mut avail_min) = (0, 0);
            Errno::check(snd_pcm_sw_params_get_boundary(params, &raw mut boundary))?;
            Errno::check(snd_pcm_sw_params_get_avail_min(params, &raw mut avail_min))?;
            stream.tune(boundary, avail_min);
            Ok(0)
        })
    }
}

unsafe extern "C" fn prepare(io: *mut Ioplug) -> c_int {
    // SAFETY: as in `start`.
    unsafe { enter(io, |stream, io| stream.prepare(io).map(|()| 0)) }
}

/// A capture stream has nothing to drain, and alsa-lib stops it when this returns. Without this callback it would
/// wait for a buffer to run empty that only fills.
unsafe extern "C" fn drain(_io: *mut Ioplug) -> c_int {
    0
}

unsafe extern "C" fn resume(io: *mut Ioplug) -> c_int {
    // SAFETY: as in `start`.
    unsafe { enter(io, |stream, io| stream.resume(io).map(|()| 0)) }
}

unsafe extern "C" fn poll_descriptors_count(_io: *mut Ioplug) -> c_int {
    DESCRIPTORS
}

unsafe extern "C" fn poll_descriptors(io: *mut Ioplug, fds: *mut pollfd, space: c_uint) -> c_int {
    // SAFETY: as in `start`; `fds` has room for `space`.
    unsafe {
        enter(io, |stream, _| {
            let descriptors = stream.wake().descriptors();
            if fds.is_null() || space < DESCRIPTORS.cast_unsigned() {
                return Err(Errno(libc::EINVAL));
            }
            for (at, fd) in descriptors.into_iter().enumerate() {
                fds.add(at).write(pollfd { fd, events: libc::POLLIN, revents: 0 });
            }
            Ok(DESCRIPTORS)
        })
    }
}

unsafe extern "C" fn poll_revents(
    io: *mut Ioplug,
    _fds: *mut pollfd,
    _count: c_uint,
    revents: *mut c_ushort,
) -> c_int {
    // SAFETY: as in `start`; `revents` is a place for the answer.
    unsafe {
        enter(io, |stream, io| {
            *revents = stream.events(io).cast_unsigned();
            Ok(0)
        })
    }
}

unsafe extern "C" fn close(io: *mut Ioplug) -> c_int {
    // SAFETY: the last callback of this PCM; alsa-lib forgets the ioplug after it.
    let freed = catch_unwind(AssertUnwindSafe(|| unsafe { free(io) }));
    if freed.is_ok() { 0 } else { -libc::EIO }
}

/// # Safety
///
/// `io` must be an ioplug that [`create`] made, and nobody may use it afterwards.
unsafe fn free(io: *mut Ioplug) {
    // SAFETY: both came from `Box::into_raw`, and the caller gives them up.
    unsafe {
        let stream: *mut c_void = (*io).private_data;
        drop(Box::from_raw(stream.cast::<Stream>()));
        drop(Box::from_raw(io));
    }
}
