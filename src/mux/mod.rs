//! How encoded sound is framed for a transport.

pub mod sse;
