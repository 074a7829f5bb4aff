//! Makes and steers a simulated sound card, so that capture can be tested on a machine without one.
//!
//! A card is a folder: `card.s32` (what it plays), `card.ctl` (the control block), `card.conf` (its PCM for
//! alsa-lib) and `asound.conf` (the same with the system's configuration, for `ALSA_CONFIG_PATH`). The plugin
//! that alsa-lib loads, package `talas-simcard`, runs inside the client and reads the block; [`Card`] is the
//! other end: it pulls the plug, stalls, overruns, detunes the clock, and reads the counters.
//!
//! Here: the block and its layout ([`control`]), the card's clock ([`clock`]), what it plays ([`content`]), the
//! handle ([`Card`], [`Builder`]), and where the plugin is ([`plugin`]). Not here: anything of alsa-lib.
//!
//! The world plays on while the card is out: its clock runs from the first start of a stream on, through
//! overruns, suspends, stalls, unplugging and closing. Device frame n always carries frame n of the content, so a
//! jump in the content *is* the loss, to the frame.

mod builder;
mod card;
pub mod clock;
pub mod content;
pub mod control;
pub mod plugin;
#[cfg(feature = "cli")]
pub mod wav;

pub use builder::{Builder, DEFAULT_NAME};
pub use card::{Card, Counters, env_of};
pub use content::Format;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
