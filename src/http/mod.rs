//! The HTTP door (being built).
pub mod settings;
