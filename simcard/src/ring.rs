//! Where a stream is: alsa-lib's wrapping positions on one side, the card's endless frame count on the other.
//! Arithmetic only: no clock, no card.

/// A hardware position and the device frame it stands for.
///
/// The pair moves together, so the distance between the two counts is integral for the life of a stream and
/// every position of alsa-lib has one device frame.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Where alsa-lib's positions wrap, in frames.
    boundary: u64,
    /// The hardware position last reported, in [0, boundary).
    position: u64,
    /// The device frame at that position: the first one not yet captured.
    frame: u64,
}

impl Ring {
    /// A ring at position 0 and frame 0.
    pub fn new(boundary: u64) -> Self {
        Self { boundary: boundary.max(1), position: 0, frame: 0 }
    }

    /// The hardware position last reported.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The device frame at the hardware position.
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// Says anew where alsa-lib's positions wrap.
    pub fn set_boundary(&mut self, boundary: u64) {
        self.boundary = boundary.max(1);
    }

    /// Lets `position` stand for `frame` from now on.
    pub fn restart(&mut self, position: u64, frame: u64) {
        self.position = position % self.boundary;
        self.frame = frame;
    }

    /// Moves the hardware position on to where `frame` is.
    pub fn advance_to(&mut self, frame: u64) {
        let by = frame.saturating_sub(self.frame);
        self.position = (self.position + by % self.boundary) % self.boundary;
        self.frame += by;
    }

    /// The device frame at the client's position `appl`.
    pub fn frame_at(&self, appl: u64) -> u64 {
        let waiting = (self.position + self.boundary - appl % self.boundary) % self.boundary;
        self.frame.saturating_sub(waiting)
    }

    /// Frames a client at `appl` could read if the hardware were at `frame`.
    pub fn avail(&self, appl: u64, frame: u64) -> u64 {
        frame.saturating_sub(self.frame_at(appl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_wrap_and_frames_do_not() {
        let mut ring = Ring::new(1000);
        ring.restart(990, 5_000_000);
        ring.advance_to(5_000_025);
        assert_eq!(ring.position(), 15);
        assert_eq!(ring.frame_at(990), 5_000_000);
        assert_eq!(ring.frame_at(999), 5_000_009);
        assert_eq!(ring.frame_at(0), 5_000_010);
        assert_eq!(ring.avail(0, ring.frame()), 15);
        assert_eq!(ring.avail(0, ring.frame() + 7), 22);
    }

    #[test]
    fn a_clock_that_lags_does_not_move_the_hardware_back() {
        let mut ring = Ring::new(1000);
        ring.restart(0, 100);
        ring.advance_to(90);
        assert_eq!((ring.position(), ring.frame()), (0, 100));
    }
}
