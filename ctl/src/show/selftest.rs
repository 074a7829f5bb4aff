//! What a self-test found: a mark, what was checked, the figures in words, and what to do.

use std::time::Duration;

use crate::human::counted;
use crate::selftest::{Finding, Report, Verdict};
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, flow, plain};

/// The whole page.
pub fn page(report: &Report, columns: Option<usize>) -> Page {
    let about = [
        Piece::new(Ink::Strong, &report.source),
        plain(format!("talasd {}", report.version)),
        plain(format!("watched for {:.1} s", report.seconds)),
    ];
    let mut page = flow(plain(""), SEPARATOR, about.into(), columns);
    page.push(Line::default());
    let width = report.checks.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for finding in &report.checks {
        page.extend(paragraph(finding, width, columns));
    }
    page.push(Line::default());
    page.push(verdict(report));
    page
}

/// While it runs.
pub fn progress(gone: Duration, watched: Duration) -> Page {
    let left = watched.saturating_sub(gone).as_secs_f64().ceil();
    vec![Line::of(Piece::new(Ink::Faint, format!("watching the appliance for {left} s more")))]
}

const fn mark(verdict: Verdict) -> (Ink, char) {
    match verdict {
        Verdict::Ok => (Ink::Good, '✓'),
        Verdict::Attention => (Ink::Warn, '!'),
        Verdict::Failed => (Ink::Bad, '✗'),
    }
}

fn paragraph(finding: &Finding, width: usize, columns: Option<usize>) -> Page {
    let (ink, mark) = mark(finding.verdict);
    let words = |ink: Ink, text: &str| text.split_whitespace().map(|word| Piece::new(ink, word)).collect();
    let head = Piece::new(ink, format!("{mark} {:width$}  ", finding.check));
    let said = if finding.verdict == Verdict::Ok { Ink::Plain } else { ink };
    let mut page = flow(head, " ", words(said, &finding.said), columns);
    if let Some(advice) = &finding.advice {
        let head = plain(format!("{:indent$}→ ", "", indent = width + 4));
        page.extend(flow(head, " ", words(Ink::Plain, advice), columns));
    }
    page
}

fn verdict(report: &Report) -> Line {
    let attention = match report.count(Verdict::Attention) {
        0 => String::new(),
        some => format!(", {} to look at", counted(u64::try_from(some).unwrap_or(u64::MAX), "thing")),
    };
    match report.count(Verdict::Failed) {
        0 => Line::of(Piece::new(Ink::Good, "all is well")).and(plain(attention)),
        failed => Line::of(Piece::new(Ink::Bad, format!("{failed} failed"))).and(plain(attention)),
    }
}
