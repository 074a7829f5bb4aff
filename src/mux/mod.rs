//! How encoded sound is framed for a transport: [`container`] for players, [`sse`] for the frame API.

mod adts;
pub mod container;
mod ogg;
mod raw;
pub mod sse;
mod wav;

pub use container::{Container, Muxer, muxer};
