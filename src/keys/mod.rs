//! The gate: from what somebody shows to who they are. The I/O of access.
//!
//! In here: the keys that tokens are checked with, in files (`files`) and from elsewhere (`jwks`); API
//! keys (`api_key`), revocations and what is known of tokens made here, on disk (`store`); tokens found
//! good (`cache`); what runs on under a pass and is ended with it (`sessions`); who has used how much
//! (`ledger`), and whether they may use more (`limiter`); what operators do with all that (`office`). Not in here: the rules (`access`), and how a request carries what it shows (`http`).

mod api_key;
mod cache;
mod files;
mod gate;
mod jwks;
mod ledger;
mod limiter;
mod office;
mod sessions;
mod store;

#[cfg(test)]
mod tests;

pub use files::SecretFile;
pub use gate::Gate;
pub use ledger::{Overrun, Parties, nearer};
pub use limiter::{Lease, Limiter, key};
pub use office::{MintWish, SESSIONS};
pub use sessions::{Seat, Session, Sessions};

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// Random bytes of the system.
///
/// # Errors
/// [`Kind::Internal`] when there are none.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        // Up to 256 bytes come whole (getrandom(2)).
        Ok(read) if read == N => Ok(bytes),
        Ok(_) => Err(Error::new(Kind::Internal, "the system gives too few random bytes")),
        Err(error) => Err(Error::caused(
            Kind::Internal,
            "the system gives no random bytes",
            std::io::Error::from(error),
        )),
    }
}
