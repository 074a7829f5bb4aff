//! Sources of sound (being built).
pub mod settings;
