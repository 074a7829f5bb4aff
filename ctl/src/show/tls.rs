//! The certificate of the HTTP door, and how handshakes went.

use talas_wire::{Certificate, Handshakes, Tls};

use super::View;
use crate::human::{count, since};
use crate::self_signed::Made;
use crate::text::{Ink, Line, Page, Piece, Row, plain, rows, sentence};

/// A certificate that ends sooner is worth a look.
const SOON_MS: u64 = 30 * 86_400_000;

/// The whole page.
pub fn page(tls: &Tls, view: &View) -> Page {
    let certificate = &tls.certificate;
    let mut page = rows(
        vec![
            Row::new("subject", vec![plain(&certificate.subject)]),
            Row::new("issuer", vec![plain(issuer(certificate))]),
            Row::new("names", certificate.names.iter().map(plain).collect()),
            Row::new("time", vec![good(certificate, view)]),
            Row::new("sha256", vec![plain(&certificate.sha256)]),
            Row::new("files", vec![plain(&tls.cert_file), plain(&tls.key_file)]),
            Row::new("in force", vec![plain(format!("for {}", since(tls.since_ms, view.now_ms)))]),
            Row::new("handshakes", handshakes(&tls.handshakes)),
        ],
        view.columns,
    );
    if let Some(problem) = &tls.problem {
        let text = format!("what is in the files now is not in force: {problem}");
        page.extend(sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, &text, view.columns));
    }
    page
}

/// In few words, for the status.
pub fn summary(tls: &Tls, view: &View) -> Vec<Piece> {
    let subject = tls.certificate.names.first().unwrap_or(&tls.certificate.subject);
    vec![plain(subject), good(&tls.certificate, view)]
}

fn issuer(certificate: &Certificate) -> &str {
    if certificate.issuer == certificate.subject { "itself" } else { &certificate.issuer }
}

fn good(certificate: &Certificate, view: &View) -> Piece {
    let Certificate { not_before_ms, not_after_ms, .. } = *certificate;
    let now_ms = view.now_ms;
    if not_after_ms <= now_ms {
        return Piece::new(Ink::Bad, format!("expired {} ago", since(not_after_ms, now_ms)));
    }
    if not_before_ms > now_ms {
        return Piece::new(Ink::Bad, format!("not for another {}", since(now_ms, not_before_ms)));
    }
    let ink = if not_after_ms - now_ms < SOON_MS { Ink::Warn } else { Ink::Plain };
    Piece::new(ink, format!("good for {}", since(now_ms, not_after_ms)))
}

fn handshakes(handshakes: &Handshakes) -> Vec<Piece> {
    let Handshakes { under_way, done, failed, not_tls, late, displaced, left } = *handshakes;
    let kinds = [
        (under_way, "under way"),
        (failed, "failed"),
        (not_tls, "without TLS"),
        (late, "too slow"),
        (displaced, "displaced"),
        (left, "left"),
    ];
    let others = kinds.into_iter().filter(|(number, _)| *number > 0);
    let others = others.map(|(number, kind)| plain(format!("{} {kind}", count(number))));
    std::iter::once(plain(format!("{} done", count(done)))).chain(others).collect()
}

/// After `tls self-signed`.
pub fn made(made: &Made, view: &View) -> Page {
    let (cert, key) = (made.cert_file.display().to_string(), made.key_file.display().to_string());
    let mut page = rows(
        vec![
            Row::new("certificate", vec![plain(&cert)]),
            Row::new("key", vec![plain(&key)]),
            Row::new("names", made.names.iter().map(plain).collect()),
            Row::new("time", vec![plain(format!("good for {} days", made.days))]),
            Row::new("sha256", vec![plain(&made.sha256)]),
        ],
        view.columns,
    );
    page.push(Line::default());
    page.push(Line::of(Piece::new(Ink::Faint, "Where it is not set yet, in the daemon's configuration:")));
    page.push(Line::of(Piece::new(Ink::Faint, "[http.tls]")));
    page.push(Line::of(Piece::new(Ink::Faint, format!("cert = {cert:?}"))));
    page.push(Line::of(Piece::new(Ink::Faint, format!("key = {key:?}"))));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;
    const NOW_MS: u64 = 100 * DAY_MS;

    fn tls() -> Tls {
        Tls {
            certificate: Certificate {
                subject: "CN=studio".to_owned(),
                issuer: "CN=studio".to_owned(),
                names: vec!["studio".to_owned(), "studio.local".to_owned()],
                not_before_ms: NOW_MS - DAY_MS,
                not_after_ms: NOW_MS + 90 * DAY_MS,
                sha256: "4E:0B".to_owned(),
            },
            cert_file: "/etc/talas/tls/cert.pem".to_owned(),
            key_file: "/etc/talas/tls/key.pem".to_owned(),
            since_ms: NOW_MS - DAY_MS,
            problem: None,
            handshakes: Handshakes { done: 1234, failed: 2, ..Handshakes::default() },
        }
    }

    fn text(tls: &Tls) -> String {
        let view = View { now_ms: NOW_MS, columns: Some(84) };
        page(tls, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn all_is_well() {
        let expected = "  subject     CN=studio
  issuer      itself
  names       studio · studio.local
  time        good for 90 d
  sha256      4E:0B
  files       /etc/talas/tls/cert.pem · /etc/talas/tls/key.pem
  in force    for 1 d
  handshakes  1,234 done · 2 failed
";
        assert_eq!(text(&tls()), expected);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let problem = Tls { problem: Some("another key".to_owned()), ..tls() };
        assert!(text(&problem).contains("! what is in the files now is not in force: another key"));
        let mut over = tls();
        over.certificate.not_after_ms = NOW_MS - 2 * DAY_MS;
        assert!(text(&over).contains("expired 2 d ago"), "{}", text(&over));
        over.certificate.not_after_ms = NOW_MS + 90 * DAY_MS;
        over.certificate.not_before_ms = NOW_MS + DAY_MS;
        assert!(text(&over).contains("not for another 1 d"), "{}", text(&over));
    }
}
