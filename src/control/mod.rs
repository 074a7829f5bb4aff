//! The control socket (being built).
pub mod settings;
