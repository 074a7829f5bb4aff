//! The simulated card under the real daemon.

use std::path::PathBuf;
use std::sync::OnceLock;

use talas_simcard_control::{Builder, Card, plugin};

use super::Setup;

/// The plugin, built once.
pub fn plugin_path() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| plugin::build().expect("the simulated card builds")).clone()
}

/// A card in a directory of its own.
pub struct SimCard {
    pub card: Card,
    pub dir: tempfile::TempDir,
}

impl SimCard {
    /// A card as the builder is told.
    pub fn new(shape: impl FnOnce(Builder) -> Builder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let card = shape(Card::builder(dir.path()).plugin(&plugin_path())).create().unwrap();
        Self { card, dir }
    }

    /// A daemon that captures from it, with further settings.
    pub fn setup(&self, more: &str) -> Setup {
        let (name, value) = self.card.env();
        Setup::new(&format!("[capture.alsa]\ndevice = \"talassim\"\n{more}")).env(name, value)
    }
}
