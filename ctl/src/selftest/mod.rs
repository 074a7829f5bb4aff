//! `selftest`: watches the running appliance for a while, and says whether it does what it should.
//!
//! In here: asking. What was seen is an [`Observation`], what to think of it is `checks`, both pure;
//! how it looks is `show::selftest`. Nothing is changed in the daemon.

mod checks;
#[cfg(test)]
mod checks_tests;
mod observation;

use std::io::Write;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};
use talas_wire::{DetailedStreamStats, Meters, Status};

use crate::args::{Args, Question};
use crate::call::call;
use crate::client::{Answer, Client};
use crate::error::{Error, Kind, Result};
use crate::human::counted;
use crate::screen::Screen;
use crate::show;
use crate::text::Page;

pub use observation::{Look, Observation};

/// Between two samples. Meters cover a tenth of a second, so a test of ten seconds hears 50 of 100.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Nothing is wrong with the sound now, but somebody should look at it.
    Attention,
    /// Sound is missing or wrong, or the daemon cannot do its work.
    Failed,
}

/// One check, done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked, a stable word.
    pub check: &'static str,
    /// What it found.
    pub verdict: Verdict,
    /// The figures in words.
    pub said: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The figures for programs; units are in their names.
    pub figures: Map<String, Value>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// No check failed.
    pub ok: bool,
    /// How long the appliance was watched.
    pub seconds: f64,
    /// Version of the daemon.
    pub version: String,
    /// The source, as `status` names it.
    pub source: String,
    /// In the order of the way that sound takes.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Judges what was seen.
    pub fn of(observation: &Observation) -> Self {
        let checks = checks::all(observation);
        let status = &observation.last.status;
        Self {
            ok: checks.iter().all(|finding| finding.verdict != Verdict::Failed),
            seconds: observation.elapsed().as_secs_f64(),
            version: status.version.clone(),
            source: show::status::source_name(&status.source),
            checks,
        }
    }

    /// How many found this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// Watches for so long, prints the report, and fails if a check did.
pub fn run<W: Write>(args: &Args, watched: Duration, screen: &mut Screen<W>) -> Result<()> {
    let client = Client::connect(&args.socket(), args.timeout)?;
    let report = Report::of(&observe(client, watched, screen, !args.json)?);
    if args.json {
        let line = serde_json::to_string(&report)
            .map_err(|error| Error::new(Kind::Failed, format!("cannot write the report: {error}")))?;
        screen.line(&line)?;
    } else {
        if screen.is_live() {
            // The progress has said all it had to say.
            screen.draw(&Page::new())?;
        }
        screen.print(&show::selftest::page(&report, screen.columns()))?;
    }
    match report.count(Verdict::Failed) {
        0 => Ok(()),
        failed => {
            let checks = counted(u64::try_from(report.checks.len()).unwrap_or(u64::MAX), "check");
            Err(Error::new(Kind::Failed, format!("{failed} of {checks} failed")))
        }
    }
}

fn observe<W: Write>(
    mut client: Client,
    watched: Duration,
    screen: &mut Screen<W>,
    for_people: bool,
) -> Result<Observation> {
    let first = look(&mut client)?;
    let mut observation = Observation::begin(client.hello().clone(), first);
    let began = Instant::now();
    let mut next = began;
    while began.elapsed() < watched {
        sample(&mut client, &mut observation)?;
        if for_people && screen.is_live() {
            screen.draw(&show::selftest::progress(began.elapsed(), watched))?;
        }
        next += SAMPLE_EVERY;
        let rest = watched.saturating_sub(began.elapsed());
        std::thread::sleep(next.saturating_duration_since(Instant::now()).min(rest));
    }
    observation.last = look(&mut client)?;
    Ok(observation)
}

fn look(client: &mut Client) -> Result<Look> {
    let (answer, asked, took) = timed(client, &Question::Status { watch: false })?;
    let status: Status = answer.read()?;
    let stats: DetailedStreamStats = client.ask(&call(&Question::Stats))?.read()?;
    // The snapshot was made between question and answer: in the middle is the best guess.
    Ok(Look { status, blocks: stats.total_frames, at: asked + took / 2 })
}

fn sample(client: &mut Client, observation: &mut Observation) -> Result<()> {
    let (answer, _, took) = timed(client, &Question::Meters { watch: false })?;
    let meters: Meters = answer.read()?;
    observation.hear(&meters, took);
    let (answer, asked, took) = timed(client, &Question::Stats)?;
    let stats: DetailedStreamStats = answer.read()?;
    observation.count_blocks(stats.total_frames, asked + took / 2, took);
    Ok(())
}

fn timed(client: &mut Client, question: &Question) -> Result<(Answer, Instant, Duration)> {
    let asked = Instant::now();
    let answer = client.ask(&call(question))?;
    Ok((answer, asked, asked.elapsed()))
}
