//! TLS at the HTTP door, as far as the one snapshot tells of it. The door knows; here it is asked.

use std::fmt;

use talas_wire::{Certificate, Tls};

use super::Station;
use crate::tools::clock::{self, NS_PER_MS};

/// A certificate that ends in fewer days than this is to be replaced.
const ENDS_DAYS: u64 = 30;
const MS_PER_DAY: u64 = 86_400_000;

/// Says what TLS at the door is like.
pub struct Describe(Box<dyn Fn() -> Tls + Send + Sync>);

impl fmt::Debug for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

impl Station {
    /// Says whom to ask what TLS at the HTTP door is like; once.
    pub fn set_tls(&self, describe: impl Fn() -> Tls + Send + Sync + 'static) {
        // A second door does not exist.
        let _ = self.tls.set(Describe(Box::new(describe)));
    }

    /// What TLS at the HTTP door is like, where there is any.
    pub fn tls(&self) -> Option<Tls> {
        self.tls.get().map(|Describe(describe)| describe())
    }
}

/// What is wrong with the certificate, or soon will be.
pub fn warnings(tls: &Tls) -> Vec<String> {
    // Not the clock of the sound, which no step moves.
    warnings_at(tls, u64::try_from(clock::wall_ns() / NS_PER_MS).unwrap_or(0))
}

fn warnings_at(tls: &Tls, now_ms: u64) -> Vec<String> {
    let Certificate { not_before_ms, not_after_ms, .. } = tls.certificate;
    let file = &tls.cert_file;
    let refused = tls.problem.iter().map(|why| format!("the new TLS certificate is not in use: {why}"));
    let time = if not_after_ms <= now_ms {
        Some(format!("the TLS certificate in {file} has expired: no browser takes it"))
    } else if not_before_ms > now_ms {
        Some(format!("the TLS certificate in {file} is not valid yet: is the clock right?"))
    } else {
        match (not_after_ms - now_ms) / MS_PER_DAY {
            0 => Some(format!("the TLS certificate in {file} ends within a day")),
            1 => Some(format!("the TLS certificate in {file} ends in a day")),
            days if days < ENDS_DAYS => Some(format!("the TLS certificate in {file} ends in {days} days")),
            _ => None,
        }
    };
    refused.chain(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(problem: Option<&str>) -> Tls {
        let name = || "CN=radio".to_owned();
        Tls {
            certificate: Certificate {
                subject: name(),
                issuer: name(),
                names: Vec::new(),
                not_before_ms: MS_PER_DAY,
                not_after_ms: 100 * MS_PER_DAY,
                sha256: String::new(),
            },
            cert_file: "cert.pem".to_owned(),
            key_file: "key.pem".to_owned(),
            since_ms: 0,
            problem: problem.map(str::to_owned),
            handshakes: talas_wire::Handshakes::default(),
        }
    }

    #[test]
    fn the_end_is_told_in_time_and_the_beginning_too() {
        for (day, words) in [
            (0, "not valid yet"),
            (1, ""),
            (69, ""),
            (71, "ends in 29 days"),
            (98, "ends in 2 days"),
            (99, "ends in a day"),
            (100, "has expired"),
        ] {
            let told = warnings_at(&tls(None), day * MS_PER_DAY);
            assert_eq!(told.is_empty(), words.is_empty(), "day {day}: {told:?}");
            assert!(told.iter().all(|sentence| sentence.contains(words)), "day {day}: {told:?}");
        }
        assert!(warnings_at(&tls(None), 100 * MS_PER_DAY - 1)[0].contains("within a day"));
        assert_eq!(warnings_at(&tls(Some("why")), 2 * MS_PER_DAY).len(), 1);
    }
}
