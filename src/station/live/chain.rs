//! Titles in Ogg: a stream for each, one after the other, with the title in its headers.
//!
//! The encoder knows nothing of it and goes on. What a decoder that begins anew needs of the sound before is
//! repeated at the beginning of each link, see `mux::ogg`. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::line::Coded;
use super::titles::Title;
use crate::codec::{Format, Packet};
use crate::mux::container::Muxer;
use crate::mux::ogg::{Ogg, repeated_frames};

/// A stream in a chain.
#[derive(Debug)]
pub struct Link {
    /// Tells it from others.
    pub number: u64,
    /// Ends the one before, for those who heard it.
    pub farewell: Bytes,
    /// What everybody gets before anything else of it.
    pub head: Bytes,
}

/// The link that is being written, and what the next one will need.
pub struct Chain {
    format: Format,
    link: Option<Arc<Link>>,
    /// The newest packets, and the pauses counted when they were made.
    last: VecDeque<Packet>,
    epoch: u64,
}

impl Chain {
    /// Without a link yet.
    pub fn new(format: &Format) -> Self {
        Self { format: format.clone(), link: None, last: VecDeque::new(), epoch: 0 }
    }

    /// The link that is being written.
    pub fn link(&self) -> Option<Arc<Link>> {
        self.link.clone()
    }

    /// Sound with this title comes: where it is another, the old stream ends and a new one begins, with what
    /// it repeats in `open`.
    pub fn follow(
        &mut self,
        title: &Title,
        epoch: u64,
        (old, open): (&mut dyn Muxer, &mut Vec<u8>),
    ) -> Option<Box<dyn Muxer>> {
        self.enter(epoch);
        if self.link.as_ref().is_some_and(|link| link.number == title.number) {
            return None;
        }
        let mut farewell = Vec::new();
        old.end(&mut farewell);
        let muxer = Ogg::link(&self.format, &title.text, self.last.make_contiguous(), open);
        self.link =
            Some(Arc::new(Link { number: title.number, farewell: farewell.into(), head: muxer.head() }));
        Some(Box::new(muxer))
    }

    /// Keeps a packet for as long as the next link may need it.
    pub fn remember(&mut self, coded: &Coded) {
        self.enter(coded.epoch);
        let wanted = repeated_frames(&self.format);
        self.last.push_back(coded.packet.clone());
        let mut frames: u32 = self.last.iter().map(|packet| packet.frames.max(1)).sum();
        while let Some(oldest) = self.last.front().map(|packet| packet.frames.max(1)) {
            if frames - oldest < wanted {
                break;
            }
            frames -= oldest;
            self.last.pop_front();
        }
    }

    /// Over a pause nothing is kept.
    fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.last.clear();
        }
    }
}
