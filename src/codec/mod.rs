//! Encodings of the programme. For now those of the frame API: what an `audio-frame`, a `gap` and a
//! `state` carry as data. How they are framed for a transport is `mux`'s business.

pub mod frames;
pub mod reduce;
