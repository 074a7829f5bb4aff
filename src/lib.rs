//! The daemon behind `talasd`: captures sound once and serves it to everybody.
//!
//! # Floors
//!
//! A module uses only what is on a lower floor, or its own; siblings on a floor do not import each
//! other. `tests/floors.rs` holds this.
//!
//! ```text
//!  9  main.rs
//!  8  daemon/             build → spawn → wait → drain; wires siblings together
//!  7  config/             the only parser; the sum of every module's Settings
//!  6  http/  control/     the doors
//!  5  station/            what runs: source, programme, renditions, and the one snapshot of them
//!  4  library/  keys/     files that can be listened to; who is let in
//!  3  capture/  mux/      devices; containers
//!  2  dsp/  codec/  access/   transforms (and the files they are decoded from), pure rules
//!  1  audio/  tools/      words of sound; tools that know no sound
//!  0  error               and the wire types (crate `talas-wire`)
//! ```
//!
//! # The life of a block
//!
//! The `capture` thread polls the device, reads a period, converts it to `f32` and pushes it into a
//! wait-free ring under a stamp: position and capture time of its first frame. The `pump` thread takes
//! it out, fills holes with counted silence, cuts it along block borders and appends it to the
//! programme's log (`station::pump`). A rendition's `encode-*` thread, running only while somebody
//! listens, reads that log, puts blocks together, encodes each once and appends the bytes to its own
//! log. Each listener's body holds a cursor into that log and hands the shared bytes to its socket. What is
//! to be heard at once does not wait for a block: low-latency packets are cut from the pieces as they come.
//!
//! Nobody upstream waits for anybody downstream: a full ring, an evicted entry, a slow listener are
//! counted and told.
//!
//! # Threads
//!
//! `capture` has a deadline and may not allocate, lock or log (`capture::worker`). `keeper` opens and
//! reopens the source. `pump` and `encode-*` are plain threads. `admin` runs the control socket, the
//! watchdog and the housekeeping on its own runtime, so that `talasctl status` answers while the
//! workers that serve HTTP are drowned. Each server that is fed has a `push` thread, a listener like others.

pub mod access;
pub mod audio;
pub mod capture;
pub mod codec;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dsp;
pub mod error;
pub mod http;
pub mod keys;
pub mod library;
pub mod mux;
pub mod station;
pub mod tools;
