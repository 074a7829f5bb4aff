//! What a player's rendition is made of: groups of packets, framed for their container, made once and
//! shared. A group is what a listener gets with one wake and one write.

use std::sync::Arc;

use bytes::Bytes;

use super::chain::{Chain, Link};
use super::line::Coded;
use super::titles::Title;
use crate::codec::Format;
use crate::mux::container::Muxer;
use crate::mux::ogg::Ogg;
use crate::tools::spread::Extent;

/// An entry of a rendition's log.
#[derive(Debug, Clone)]
pub struct Group {
    /// Pauses counted: nothing of an older epoch may reach anybody.
    pub epoch: u64,
    /// Position in the programme of the first frame that it decodes to.
    pub position: u64,
    /// Position after the last.
    pub end: u64,
    /// When the first frame was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// Packets in it.
    pub packets: u32,
    /// Whether a listener can begin here.
    pub clean_start: bool,
    /// What was playing.
    pub title: Arc<Title>,
    /// The stream that it is a part of, where titles make a chain of streams.
    pub link: Option<Arc<Link>>,
    /// What is sent.
    pub bytes: Bytes,
    /// Where in the bytes a stream may end, rising; the last is their length.
    pub borders: Arc<[u32]>,
}

impl Extent for Group {
    fn span(&self) -> u64 {
        self.end - self.position
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Group {
    /// The first border at or after so many bytes. Nothing at all is a border too.
    pub fn border_after(&self, sent: usize) -> usize {
        let mut borders = std::iter::once(0).chain(self.borders.iter().map(|border| *border as usize));
        borders.find(|border| *border >= sent).unwrap_or(self.bytes.len())
    }
}

/// Puts packets together. Groups end where the number of a frame, counted from the programme's beginning,
/// passes a multiple of their length: so two encodings with equal packets have equal groups.
pub struct Grouper {
    muxer: Box<dyn Muxer>,
    /// Set where titles make a chain of streams.
    chain: Option<Chain>,
    /// Length of a group, in frames at the encoding's rate.
    span: u64,
    open: Vec<u8>,
    borders: Vec<u32>,
    packets: u32,
    first: Option<First>,
    /// Position up to which groups are complete.
    delivered: u64,
}

/// What a group has from its first packet.
struct First {
    position: u64,
    mono_ns: i64,
    clean_start: bool,
    epoch: u64,
    title: Arc<Title>,
}

impl Grouper {
    /// Groups of about `span` frames: as many whole packets of `packet_frames` as come nearest, one at least.
    pub fn new(muxer: Box<dyn Muxer>, span: u64, packet_frames: u32) -> Self {
        let packet = u64::from(packet_frames.max(1));
        let span = ((span + packet / 2) / packet).max(1) * packet;
        let (open, borders) = (Vec::new(), Vec::new());
        Self { muxer, chain: None, span, open, borders, packets: 0, first: None, delivered: 0 }
    }

    /// The same in Ogg, with a stream for each title.
    pub fn chained(format: &Format, span: u64) -> Self {
        let chain = Some(Chain::new(format));
        Self { chain, ..Self::new(Box::new(Ogg::new(format)), span, format.frame_samples) }
    }

    /// What every listener gets before its first group; in a chain its link has that.
    pub fn head(&self) -> Bytes {
        self.muxer.head()
    }

    /// Position up to which groups are complete.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Takes the next packet; gives the group that it completes. `title` knows what is playing at a position.
    pub fn push(&mut self, coded: &Coded, title: impl FnOnce(u64) -> Arc<Title>) -> Option<Group> {
        if self.first.as_ref().is_some_and(|first| first.epoch < coded.epoch) {
            self.forget();
        }
        // A line that begins anew after a pause begins a little earlier: with what its codec needs, and with
        // what another log of the same rendition does not have yet.
        if (coded.position + coded.end) / 2 < self.delivered {
            return None;
        }
        if self.first.is_none() {
            self.begin(coded, title(coded.position));
        }
        self.muxer.packet(&coded.packet, &mut self.open);
        if let Some(chain) = &mut self.chain {
            chain.remember(coded);
        }
        self.note_border();
        self.packets += 1;
        let end = coded.frame + u64::from(coded.packet.frames);
        if end / self.span == coded.frame / self.span {
            return None;
        }
        self.muxer.flush(&mut self.open);
        self.note_border();
        let First { position, mono_ns, clean_start, epoch, title } = self.first.take()?;
        self.delivered = coded.end.max(position);
        Some(Group {
            epoch,
            position,
            end: self.delivered,
            mono_ns,
            packets: std::mem::take(&mut self.packets),
            clean_start,
            title,
            link: self.chain.as_ref().and_then(Chain::link),
            bytes: std::mem::take(&mut self.open).into(),
            borders: std::mem::take(&mut self.borders).into(),
        })
    }

    fn begin(&mut self, coded: &Coded, title: Arc<Title>) {
        if let Some(chain) = &mut self.chain
            && let Some(muxer) = chain.follow(&title, coded.epoch, (&mut *self.muxer, &mut self.open))
        {
            self.muxer = muxer;
        }
        let Coded { position, mono_ns, epoch, .. } = *coded;
        let clean_start = coded.packet.clean_start;
        self.first = Some(First { position, mono_ns, clean_start, epoch, title });
    }

    /// Drops what is begun. The container goes on behind it.
    pub fn forget(&mut self) {
        self.muxer.flush(&mut self.open);
        self.open.clear();
        self.borders.clear();
        self.packets = 0;
        self.first = None;
    }

    fn note_border(&mut self) {
        let end = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        if end > self.borders.last().copied().unwrap_or(0) {
            self.borders.push(end);
        }
    }
}
