//! How encoded sound is framed for a transport: [`container`] for players, [`sse`] for the frame API, [`packet`] for
//! low-latency sound, [`icy`] for titles between the bytes of a stream.

mod adts;
pub mod container;
mod fmp4;
pub mod icy;
pub mod ogg;
pub mod packet;
mod raw;
pub mod sse;
mod wav;

pub use container::{Container, Muxer, muxer};
