//! Capture devices, as `talasctl devices` lists them.

use serde::{Deserialize, Serialize};

/// All capture devices found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// In ALSA's order.
    pub devices: Vec<Device>,
}

/// One capture device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The name to write into `capture.alsa.device`; it stays the same across boots.
    pub name: String,
    /// What the driver calls it.
    pub description: String,
    /// This is the one the daemon captures from.
    pub in_use: bool,
    /// What it can do; `null` where it could not be asked.
    pub ability: Option<Ability>,
    /// Why it could not be asked (in use by another program, gone, …).
    pub problem: Option<String>,
}

/// What a device can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ability {
    /// ALSA's names of the sample formats it has, best first.
    pub formats: Vec<String>,
    /// Sample rates it has in hardware, of those in common use.
    pub rates: Vec<u32>,
    /// Fewest and most channels.
    pub channels: Span,
    /// Shortest and longest period in frames.
    pub period_frames: Span,
}

/// From a least to a most, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
}
