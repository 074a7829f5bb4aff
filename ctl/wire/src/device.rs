//! Capture devices, as `talasctl devices` lists them, and how they fail.

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

/// The ways in which a capture device fails, for rehearsals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Its buffer runs over.
    Overrun,
    /// The machine sleeps.
    Suspend,
    /// It stays open and delivers nothing.
    Stall,
    /// It goes away and comes back.
    Unplug,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Overrun, Self::Suspend, Self::Stall, Self::Unplug];

    /// The word used everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Suspend => "suspend",
            Self::Stall => "stall",
            Self::Unplug => "unplug",
        }
    }

    /// The fault of that name.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == word)
    }
}
