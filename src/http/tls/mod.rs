//! TLS at the door.
//!
//! In here: the certificate with its key and what is known of it (`pair`, `facts`), when its files changed (`watch`),
//! handshakes with strangers (`handshake`), the connection that comes of one (`lent`), and the listener that sends clients here who came without TLS
//! (`redirect`). The protocol itself is rustls, with the arithmetic of aws-lc.

mod facts;
mod handshake;
mod lent;
mod pair;
mod redirect;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use handshake::Handshakes;
pub use lent::{Lender, Sealed};
pub use pair::Pair;
pub use redirect::router as redirect_router;

use crate::error::Result;
use crate::tools::clock::{self, NS_PER_MS};
use crate::tools::lock::lock;
use crate::tools::stop::Stop;
use watch::{Turn, Watch};

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, followed by those that vouch for it, in PEM.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Days before the end of a certificate at which the journal warns, and the end itself.
const WARN_DAYS: [i64; 5] = [30, 14, 7, 1, 0];
const MS_PER_DAY: i64 = 86_400_000;
/// How often the files are looked at without being told of a change, and the clock.
const LOOK: Duration = Duration::from_secs(60);

/// The certificate in force, and who keeps it so.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    pair: ArcSwap<Pair>,
    /// Why what is in the files now is not in force.
    problem: Mutex<Option<String>>,
    handshakes: Handshakes,
}

impl Tls {
    /// With what is in the files.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) where that is no certificate with its key.
    pub fn open(files: Files) -> Result<Self> {
        let pair = Pair::read(&files)?;
        pair.tell(&files);
        let handshakes = Handshakes::default();
        Ok(Self { files, pair: ArcSwap::from_pointee(pair), problem: Mutex::default(), handshakes })
    }

    /// Reads the files; what is in them is not in force yet.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn read(&self) -> Result<Pair> {
        Pair::read(&self.files)
    }

    /// Puts a pair into force for connections to come, if it is another one.
    pub fn put(&self, pair: Pair) {
        *lock(&self.problem) = None;
        if !pair.is_same(&self.pair.load()) {
            pair.tell(&self.files);
            self.pair.store(Arc::new(pair));
        }
    }

    /// Reads the files again. What cannot be used stays out, and is told once.
    fn look(&self) {
        match self.read() {
            Ok(pair) => self.put(pair),
            Err(error) => {
                let reason = error.chain();
                let mut problem = lock(&self.problem);
                if problem.as_ref() != Some(&reason) {
                    tracing::error!(
                        event = "certificate_refused",
                        reason,
                        "the new certificate is not used, the old one stays"
                    );
                    *problem = Some(reason);
                }
            }
        }
    }

    /// What is known of it, for people and programs.
    pub fn describe(&self) -> talas_wire::Tls {
        let pair = self.pair.load();
        talas_wire::Tls {
            certificate: pair.facts().clone(),
            cert_file: self.files.cert.display().to_string(),
            key_file: self.files.key.display().to_string(),
            since_ms: pair.since_ms(),
            problem: lock(&self.problem).clone(),
            handshakes: self.handshakes.counts(),
        }
    }

    /// Looks after it until the stop: changes of the files, and the end of its time. Blocks.
    pub fn run(&self, stop: &Stop) {
        let mut watch = Watch::new([&self.files.cert, &self.files.key]);
        // What changed between the start and now.
        self.look();
        let mut warned = None;
        loop {
            warned = self.warn_of_end(warned);
            match watch.turn(stop, LOOK) {
                Turn::Changed => self.look(),
                Turn::Same => {}
                Turn::Stopped => return,
            }
        }
    }

    /// Warns when fewer days are left than at the last warning; gives the days that were warned at.
    fn warn_of_end(&self, warned: Option<(String, i64)>) -> Option<(String, i64)> {
        let pair = self.pair.load();
        let facts = pair.facts();
        let left_ms = i64::try_from(facts.not_after_ms).unwrap_or(i64::MAX) - clock::wall_ns() / NS_PER_MS;
        let stage = WARN_DAYS.into_iter().rev().find(|days| left_ms <= days * MS_PER_DAY)?;
        let now = (facts.sha256.clone(), stage);
        let is_told = warned.is_some_and(|(print, days)| print == now.0 && days <= stage);
        if !is_told {
            let (days, subject) = (left_ms.div_euclid(MS_PER_DAY), facts.subject.as_str());
            if left_ms <= 0 {
                tracing::warn!(event = "certificate_expired", subject, "the certificate's time is over");
            } else {
                tracing::warn!(event = "certificate_ends", days, subject, "the certificate ends soon");
            }
        }
        Some(now)
    }
}
