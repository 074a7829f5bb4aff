//! Who may do what: the rules, and nothing but the rules. No socket, file or clock is in here.
//!
//! One table (`table`) says which permission each route of HTTP and each method of the control socket
//! needs; one function (`decide`) says yes or no. What can be held is in `permission`, what a token or
//! key is bound to in `bounds`. Tokens are checked and made by `token`, with keys of `keyring`, and say
//! what `claims` reads; `refusal` has every reason why one lets nobody in. How much one may use is in
//! `limits`, the arithmetic of rates in `bucket`. Not in here: where keys are kept, who is let in by them,
//! and who has used how much (`keys`).

mod bounds;
mod bucket;
mod claims;
mod decide;
mod keyring;
mod limits;
mod permission;
mod refusal;
mod revoked;
mod settings;
mod table;
mod token;

#[cfg(test)]
mod attacks;

pub use bounds::{Bounds, Network, PathPattern};
pub use bucket::{Bucket, Rate, Standing};
pub use claims::{Claims, Expected};
pub use decide::{Denial, Pass, Place, Via, decide, least_level};
pub use keyring::{Key, keys_of_jwks};
pub use limits::{Limit, Limits, Quota, Scope, counted_as};
pub use permission::{Permission, Permissions, ROLE_OF_THE_UNNAMED, Roles};
pub use refusal::Refusal;
pub use revoked::Revoked;
pub use settings::{Guard, Jwt, Mode, Settings, guard, judge};
pub use table::{Rule, Subject, TABLE, Use, control, route, route_of};
pub use token::{NewClaims, mint, verify};
