//! What `alsa/pcm_ioplug.h` declares and `alsa-sys` does not: the ioplug ABI, protocol version 1.0.2.

#![expect(unsafe_code, reason = "declarations of a C library")]

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_ushort, c_void};
use std::io;

use alsa_sys::{snd_output_t, snd_pcm_channel_area_t, snd_pcm_hw_params_t, snd_pcm_sw_params_t, snd_pcm_t};
use libc::pollfd;

/// `SND_PCM_IOPLUG_VERSION`.
pub const VERSION: c_uint = 0x01_00_02;
/// Timestamps are CLOCK_MONOTONIC.
pub const FLAG_MONOTONIC: c_uint = 1 << 1;
/// The hardware pointer wraps at the boundary. Without this it wraps at the buffer's size, and an overrun of
/// more than one buffer cannot be told.
pub const FLAG_BOUNDARY_WA: c_uint = 1 << 2;

/// The hardware parameters a plugin can constrain, `SND_PCM_IOPLUG_HW_*`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Param {
    Access = 0,
    Format = 1,
    Channels = 2,
    Rate = 3,
    PeriodBytes = 4,
    BufferBytes = 5,
    Periods = 6,
}

/// `snd_pcm_ioplug_t`: shared with alsa-lib for the life of the PCM.
#[repr(C)]
pub struct Ioplug {
    pub version: c_uint,
    pub name: *const c_char,
    pub flags: c_uint,
    pub poll_fd: c_int,
    pub poll_events: c_uint,
    pub mmap_rw: c_uint,
    pub callback: *const Callbacks,
    pub private_data: *mut c_void,
    pub pcm: *mut snd_pcm_t,
    pub stream: c_uint,
    pub state: c_uint,
    pub appl_ptr: c_ulong,
    pub hw_ptr: c_ulong,
    pub nonblock: c_int,
    pub access: c_uint,
    pub format: c_int,
    pub channels: c_uint,
    pub rate: c_uint,
    pub period_size: c_ulong,
    pub buffer_size: c_ulong,
}

type Plain = unsafe extern "C" fn(*mut Ioplug) -> c_int;

/// `snd_pcm_ioplug_callback_t`; the ones this plugin leaves out are typed as plain places.
#[repr(C)]
pub struct Callbacks {
    pub start: Plain,
    pub stop: Plain,
    pub pointer: unsafe extern "C" fn(*mut Ioplug) -> c_long,
    pub transfer:
        unsafe extern "C" fn(*mut Ioplug, *const snd_pcm_channel_area_t, c_ulong, c_ulong) -> c_long,
    pub close: Plain,
    pub hw_params: unsafe extern "C" fn(*mut Ioplug, *mut snd_pcm_hw_params_t) -> c_int,
    pub hw_free: Option<Plain>,
    pub sw_params: unsafe extern "C" fn(*mut Ioplug, *mut snd_pcm_sw_params_t) -> c_int,
    pub prepare: Plain,
    pub drain: Plain,
    pub pause: Option<unsafe extern "C" fn(*mut Ioplug, c_int) -> c_int>,
    pub resume: Plain,
    pub poll_descriptors_count: Plain,
    pub poll_descriptors: unsafe extern "C" fn(*mut Ioplug, *mut pollfd, c_uint) -> c_int,
    pub poll_revents: unsafe extern "C" fn(*mut Ioplug, *mut pollfd, c_uint, *mut c_ushort) -> c_int,
    pub dump: Option<unsafe extern "C" fn(*mut Ioplug, *mut snd_output_t)>,
    pub delay: Option<unsafe extern "C" fn(*mut Ioplug, *mut c_long) -> c_int>,
    pub query_chmaps: Option<Plain>,
    pub get_chmap: Option<Plain>,
    pub set_chmap: Option<Plain>,
}

// The header's sizes on a 64-bit machine; positions are taken for u64 throughout.
const _: () = assert!(size_of::<Ioplug>() == 120 && size_of::<Callbacks>() == 160);

unsafe extern "C" {
    pub fn snd_pcm_ioplug_create(io: *mut Ioplug, name: *const c_char, stream: c_uint, mode: c_int) -> c_int;
    pub fn snd_pcm_ioplug_delete(io: *mut Ioplug) -> c_int;
    pub fn snd_pcm_ioplug_set_param_list(
        io: *mut Ioplug,
        param: c_int,
        count: c_uint,
        list: *const c_uint,
    ) -> c_int;
    pub fn snd_pcm_ioplug_set_param_minmax(io: *mut Ioplug, param: c_int, min: c_uint, max: c_uint) -> c_int;
}

/// A positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub c_int);

impl Errno {
    /// What alsa-lib's functions return: 0 or more, or a negative errno.
    pub fn check(returned: c_int) -> Result<c_int, Self> {
        if returned < 0 { Err(Self(-returned)) } else { Ok(returned) }
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EINVAL))
    }
}
