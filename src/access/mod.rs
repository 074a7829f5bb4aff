//! Who may do what: the rules, and nothing but the rules. No socket, file or clock is in here.
//!
//! One table (`table`) says which permission each route of HTTP and each method of the control socket
//! needs; one function (`decide`) says yes or no. What can be held is in `permission`, what a token or
//! key is bound to in `bounds`. Tokens are checked and made by `token`, with keys of `keyring`, and say
//! what `claims` reads; `refusal` has every reason why one lets nobody in. Not in here: where keys are
//! kept and who is let in by them (`keys`).

mod bounds;
mod claims;
mod decide;
mod keyring;
mod permission;
mod refusal;
mod revoked;
mod settings;
mod table;
mod token;

#[cfg(test)]
mod attacks;

pub use bounds::{Bounds, Network, PathPattern};
pub use claims::{Claims, Expected};
pub use decide::{Denial, Pass, Place, Via, decide, least_level};
pub use keyring::{Key, keys_of_jwks};
pub use permission::{Permission, Permissions, ROLE_OF_THE_UNNAMED, Roles};
pub use refusal::Refusal;
pub use revoked::Revoked;
pub use settings::{Guard, Jwt, Mode, Settings, guard, judge};
pub use table::{Rule, Subject, TABLE, Use, control, route, route_of};
pub use token::{NewClaims, mint, verify};
