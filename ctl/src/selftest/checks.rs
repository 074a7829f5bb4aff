//! What to think of what was seen. Pure: one function for each check, in the order of the sound's way.
//!
//! A check fails if sound is missing or wrong or the daemon cannot do its work. What may yet cost
//! sound, or did before the test, is worth attention and no failure.

use std::time::Duration;

use serde_json::{Map, Value, json};
use talas_wire::{Capture, Realtime, SourceKind, State};

use super::{Finding, Observation, Verdict};
use crate::human::{bytes, count, counted, duration, fixed, frames, percent, trimmed};
use crate::show::status::RING_NEARLY_FULL;

/// A good card is within 50 ppm and a cheap one within 100; beyond this it is not the rate it says.
const MOST_DRIFT_PPM: f64 = 200.0;
/// Counters move by a period, and a busy machine lets a thread wait: so much the ends of the test may
/// be off without anything being wrong.
const ENDS_MAY_BE_OFF: Duration = Duration::from_millis(100);
/// What a rate may be off besides.
const RATE_MAY_BE_OFF: f64 = 0.001;
/// Blocks that stand still for longer are missed by every listener.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(1);
/// Two looks may fall between two blocks: no more than that is no standstill.
const STANDSTILL_TOLD: Duration = Duration::from_millis(150);
/// An answer takes less even with hundreds of listeners.
const QUICK_ANSWER: Duration = Duration::from_millis(20);
/// An answer that takes longer makes a person press the key again.
const SLOW_ANSWER: Duration = Duration::from_millis(500);
/// Less room than this is worth a look, and less than that is none.
const LITTLE_SPACE_BYTES: u64 = 1_000_000_000;
const NO_SPACE_BYTES: u64 = 100_000_000;

/// All checks.
pub fn all(seen: &Observation) -> Vec<Finding> {
    let mut findings = vec![control(seen), state(seen)];
    if is_running(seen) {
        findings.extend([pace(seen), blocks(seen), levels(seen)]);
    }
    findings.extend([lost(seen), before(seen), drift(seen), realtime(seen), ring(seen), disk(seen)]);
    findings.extend(warnings(seen));
    findings
}

/// Without sound there is no pace and no level to judge; that there is none is said by `state`.
fn is_running(seen: &Observation) -> bool {
    seen.first.status.state == State::Running && seen.last.status.state == State::Running
}

fn finding(check: &'static str, verdict: Verdict, said: impl Into<String>) -> Finding {
    Finding { check, verdict, said: said.into(), advice: None, figures: Map::new() }
}

impl Finding {
    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", trimmed(duration.as_secs_f64() * 1000.0, 2))
}

fn control(seen: &Observation) -> Finding {
    let (middle, longest) = seen.round_trip();
    let [major, minor] = seen.hello.proto;
    let level = seen.hello.level.as_str();
    let verdict = match middle {
        quick if quick <= QUICK_ANSWER => Verdict::Ok,
        slow if slow <= SLOW_ANSWER => Verdict::Attention,
        _ => Verdict::Failed,
    };
    let answers = u64::try_from(seen.round_trips.len()).unwrap_or(u64::MAX);
    let said = format!(
        "protocol {major}.{minor}, your level is {level}; half of {} came within {}, all within {}",
        counted(answers, "answer"),
        ms(middle),
        ms(longest)
    );
    let found = finding("control", verdict, said)
        .figure("protocol", json!([major, minor]))
        .figure("level", level)
        .figure("answers", answers)
        .figure("median_ms", middle.as_secs_f64() * 1000.0)
        .figure("longest_ms", longest.as_secs_f64() * 1000.0);
    match verdict {
        Verdict::Ok => found,
        _ => found.advice("what keeps the machine busy? top; talasctl stats"),
    }
}

fn state(seen: &Observation) -> Finding {
    let (first, last) = (&seen.first.status, &seen.last.status);
    let source = last.source.state;
    let figures =
        |found: Finding| found.figure("state", last.state.as_str()).figure("source", source.as_str());
    if is_running(seen) {
        let said = format!("running; the daemon has been up for {}", duration(last.uptime_seconds));
        return figures(finding("state", Verdict::Ok, said));
    }
    let mut said = match first.state == last.state {
        true => last.state.as_str().to_owned(),
        false => format!("{}, then {}", first.state.as_str(), last.state.as_str()),
    };
    let reason = last.reason.as_deref().or(first.reason.as_deref());
    said.extend(reason.map(|reason| format!(": {reason}")));
    let shown = if last.state == State::Running { first.state } else { last.state };
    let advice = match shown {
        State::Paused => "end the pause: talasctl resume",
        State::Absent => "is it plugged in, and its name right? talasctl devices",
        State::Stalled => "the driver delivers nothing: unplug it and plug it in again; journalctl -k",
        State::Starting => "it may be starting: try again; journalctl -u talasd",
        State::Stopping | State::Running => "journalctl -u talasd",
    };
    figures(finding("state", Verdict::Failed, said).advice(advice))
}

fn pace(seen: &Observation) -> Finding {
    let (first, last) = (&seen.first.status.capture, &seen.last.status.capture);
    let seconds = seen.elapsed().as_secs_f64();
    let nominal = f64::from(last.sample_rate);
    let captured = last.captured_samples.saturating_sub(first.captured_samples);
    let rate = captured as f64 / seconds;
    let off = rate / nominal - 1.0;
    let ends = 2.0 * f64::from(last.period_frames) / nominal + ENDS_MAY_BE_OFF.as_secs_f64();
    let may_be_off = RATE_MAY_BE_OFF + ends / seconds;
    let said = format!(
        "{} frames a second were captured, {}{} % off; a test of {} s can tell {} %",
        count(rate.round() as u64),
        if off > 0.0 { "+" } else { "" },
        fixed(off * 100.0, 2),
        trimmed(seconds, 1),
        trimmed(may_be_off * 100.0, 1)
    );
    let found = |verdict| {
        finding("pace", verdict, said.as_str())
            .figure("captured_frames", captured)
            .figure("frames_per_second", rate)
            .figure("sample_rate", last.sample_rate)
            .figure("off_percent", off * 100.0)
            .figure("may_be_off_percent", may_be_off * 100.0)
    };
    match off.abs() <= may_be_off {
        true => found(Verdict::Ok),
        false => found(Verdict::Failed).advice("the device does not run at the rate that it granted: try another capture.sample_rate; talasctl devices"),
    }
}

fn blocks(seen: &Observation) -> Finding {
    let made = seen.last.blocks.saturating_sub(seen.first.blocks);
    let per_second = made as f64 / seen.elapsed().as_secs_f64();
    let standstill = seen.longest_standstill;
    let stood = if standstill < STANDSTILL_TOLD {
        "new ones at each look".to_owned()
    } else {
        format!("none for {} once", ms(standstill))
    };
    let found = |verdict| {
        finding("blocks", verdict, format!("{} a second; {stood}", trimmed(per_second, 1)))
            .figure("blocks", made)
            .figure("blocks_per_second", per_second)
            .figure("longest_standstill_ms", standstill.as_secs_f64() * 1000.0)
    };
    match made > 0 && standstill <= LONGEST_STANDSTILL {
        true => found(Verdict::Ok),
        false => found(Verdict::Failed)
            .advice("sound is captured and does not become frames: journalctl -u talasd"),
    }
}

fn levels(seen: &Observation) -> Finding {
    let silent = |heard: &&super::observation::Heard| heard.peak_dbfs.is_none();
    let quiet = seen.channels.iter().filter(silent).count();
    let peaks: Vec<Value> = seen.channels.iter().map(|heard| json!(heard.peak_dbfs)).collect();
    let clipped: u64 = seen.channels.iter().map(|heard| heard.clipped).sum();
    let found = |verdict, said: String| {
        finding("levels", verdict, said)
            .figure("peaks_dbfs", peaks.clone())
            .figure("clipped_samples", clipped)
            .figure("readings", seen.readings)
    };
    let is_device = seen.last.status.source.kind == SourceKind::Alsa;
    if seen.channels.is_empty() {
        return found(Verdict::Failed, "no levels were measured".to_owned()).advice("journalctl -u talasd");
    }
    if quiet == seen.channels.len() {
        // A converter always has some noise; a file or a tone may well be silent.
        let verdict = if is_device { Verdict::Failed } else { Verdict::Attention };
        let advice = match is_device {
            true => "is it the right device and input, and not muted? talasctl devices; alsamixer -V capture",
            false => "is the file or the tone meant to be silent? talasctl meters --watch",
        };
        return found(verdict, "digital silence on all channels".to_owned()).advice(advice);
    }
    let each: Vec<String> = seen
        .channels
        .iter()
        .map(|heard| heard.peak_dbfs.map_or("silence".to_owned(), |dbfs| fixed(dbfs, 1)))
        .collect();
    let mut said = format!("peaks of {} dBFS", each.join(", "));
    if clipped > 0 {
        said.push_str(&format!("; {} at full scale", counted(clipped, "sample")));
        return found(Verdict::Attention, said).advice("turn the input down; talasctl meters --watch");
    }
    match quiet {
        0 => found(Verdict::Ok, said),
        _ => found(Verdict::Attention, said).advice("is something connected to the silent channel?"),
    }
}

/// What the counters of trouble say: name, noun, count.
fn troubles(capture: &Capture) -> [(&'static str, &'static str, u64); 4] {
    [
        ("overruns", "overrun", capture.overruns),
        ("suspends", "suspend", capture.suspends),
        ("stalls", "stall", capture.stalls),
        ("unplugs", "unplug", capture.unplugs),
    ]
}

/// What was lost while we looked.
fn lost(seen: &Observation) -> Finding {
    let (first, last) = (&seen.first.status, &seen.last.status);
    let gaps = last.gaps.total.saturating_sub(first.gaps.total);
    let samples = last.capture.lost_samples.saturating_sub(first.capture.lost_samples);
    let dropped = last.capture.ring_dropped_samples.saturating_sub(first.capture.ring_dropped_samples);
    let nonfinite = last.capture.nonfinite_samples.saturating_sub(first.capture.nonfinite_samples);
    let mut facts = Vec::new();
    if gaps > 0 || samples > 0 {
        facts.push(format!("{} in {}", frames(samples, last.capture.sample_rate), counted(gaps, "new gap")));
    }
    let mut found = finding("gaps", Verdict::Ok, "").figure("new_gaps", gaps).figure("lost_samples", samples);
    for ((name, noun, before), (.., after)) in
        troubles(&first.capture).into_iter().zip(troubles(&last.capture))
    {
        let new = after.saturating_sub(before);
        found = found.figure(name, new);
        facts.extend((new > 0).then(|| counted(new, noun)));
    }
    facts.extend((dropped > 0).then(|| format!("{} dropped, the ring was full", counted(dropped, "frame"))));
    facts.extend((nonfinite > 0).then(|| format!("{} not a number", counted(nonfinite, "sample"))));
    found = found.figure("ring_dropped_samples", dropped).figure("nonfinite_samples", nonfinite);
    if facts.is_empty() {
        found.said = "nothing was lost during the test".to_owned();
        return found;
    }
    found.said = format!("during the test: {}", facts.join(", "));
    found.verdict = Verdict::Failed;
    found.advice("journalctl -u talasd TALAS_EVENT=capture_gap tells when and why")
}

/// What was lost before, since the daemon started.
fn before(seen: &Observation) -> Finding {
    let status = &seen.first.status;
    let (total, samples) = (status.gaps.total, status.capture.lost_samples);
    let figures = |found: Finding| found.figure("gaps", total).figure("lost_samples", samples);
    let uptime = duration(status.uptime_seconds);
    if samples == 0 {
        let but = if total > 0 { "nothing but pauses" } else { "nothing" };
        return figures(finding("history", Verdict::Ok, format!("{but} in {uptime} before it")));
    }
    let mut facts: Vec<String> = vec![format!(
        "{} in {} since the start {uptime} ago",
        frames(samples, status.capture.sample_rate),
        counted(total, "gap")
    )];
    facts.extend(
        troubles(&status.capture).iter().filter(|(.., n)| *n > 0).map(|(_, noun, n)| counted(*n, noun)),
    );
    figures(finding("history", Verdict::Attention, format!("lost before it: {}", facts.join(", "))))
        .advice("journalctl -u talasd TALAS_EVENT=capture_gap tells when and why")
}

fn drift(seen: &Observation) -> Finding {
    let status = &seen.last.status;
    let Some(ppm) = status.capture.drift_ppm else {
        let said = match status.source.kind {
            SourceKind::Alsa => "not measured yet",
            SourceKind::File | SourceKind::Tone => "none: this source keeps the system's own time",
        };
        return finding("drift", Verdict::Ok, said).figure("drift_ppm", Value::Null);
    };
    let said =
        format!("{}{} ppm against the system clock", if ppm > 0.0 { "+" } else { "" }, trimmed(ppm, 1));
    let found = |verdict| finding("drift", verdict, said.as_str()).figure("drift_ppm", ppm);
    match ppm.abs() <= MOST_DRIFT_PPM {
        true => found(Verdict::Ok),
        false => found(Verdict::Failed).advice(
            "no sound card is off by so much: does the system clock run right? chronyc tracking; timedatectl",
        ),
    }
}

fn realtime(seen: &Observation) -> Finding {
    let status = &seen.last.status;
    let word = json!(status.capture.realtime);
    let is_device = status.source.kind == SourceKind::Alsa;
    let (verdict, said, advice) = match status.capture.realtime {
        Realtime::Fifo => (Verdict::Ok, "granted to the capture thread", None),
        Realtime::Off if !is_device => (Verdict::Ok, "not needed: this source waits for no device", None),
        Realtime::Denied => (
            Verdict::Attention,
            "refused: sound may be lost while the machine is busy",
            Some("grant it: LimitRTPRIO= in the unit, or rtprio in limits.conf"),
        ),
        Realtime::Demoted => (
            Verdict::Failed,
            "given up: the capture thread used more processor time than it may",
            Some("journalctl -u talasd; then restart it: systemctl restart talasd"),
        ),
        Realtime::Off => (
            Verdict::Attention,
            "not asked for: sound may be lost while the machine is busy",
            Some("set capture.realtime_priority; without a device nothing asks for it"),
        ),
    };
    let found = finding("realtime", verdict, said).figure("realtime", word);
    match advice {
        Some(advice) => found.advice(advice),
        None => found,
    }
}

fn ring(seen: &Observation) -> Finding {
    let (before, peak) = (seen.first.status.capture.ring_peak, seen.last.status.capture.ring_peak);
    let said = format!("at most {} full since the daemon started", percent(peak));
    let found = |verdict| finding("ring", verdict, said.as_str()).figure("ring_peak", peak);
    let busy = "the daemon came late for its sound: what keeps the machine busy? top; talasctl stats";
    match peak {
        peak if peak < RING_NEARLY_FULL => found(Verdict::Ok),
        // It can only rise: if it did, it was now.
        peak if peak > before => found(Verdict::Failed).advice(busy),
        _ => found(Verdict::Attention).advice(busy),
    }
}

fn disk(seen: &Observation) -> Finding {
    let disk = &seen.last.status.disk;
    let dir = &disk.state_dir;
    let free = disk.free_bytes;
    let room =
        free.map_or("it is not known how much is free".to_owned(), |free| format!("{} free", bytes(free)));
    let found = |verdict, said: String| {
        finding("disk", verdict, said).figure("writable", disk.writable).figure("free_bytes", json!(free))
    };
    if !disk.writable {
        let advice = format!("let the daemon's user write there: ls -ld {dir}");
        return found(Verdict::Failed, format!("{dir} cannot be written; {room}")).advice(advice);
    }
    let verdict = match free {
        Some(LITTLE_SPACE_BYTES..) => return found(Verdict::Ok, format!("{dir} can be written; {room}")),
        Some(NO_SPACE_BYTES..) | None => Verdict::Attention,
        Some(_) => Verdict::Failed,
    };
    found(verdict, format!("{dir} can be written; {room}")).advice(format!("df -h {dir}"))
}

/// What the daemon itself would have an operator know.
fn warnings(seen: &Observation) -> Vec<Finding> {
    let warnings = &seen.last.status.warnings;
    if warnings.is_empty() {
        return vec![finding("warnings", Verdict::Ok, "the daemon has none")];
    }
    warnings.iter().map(|warning| finding("warnings", Verdict::Attention, warning.as_str())).collect()
}
