//! Rules between keys, and what is allowed but unwise.
//!
//! A rule points at a value that somebody wrote: of two keys that do not fit, one at least is not at
//! its default. A key that could not be read has no value to hold against another.

use std::net::SocketAddr;
use std::ops::Range;

use crate::access;
use crate::capture::settings::SourceSettings;
use crate::dsp::chain;
use crate::station::live::built_in;
use crate::station::push;

use super::Config;
use super::complaint::{Complaint, Place};
use super::document::Document;
use super::layer::Entry;
use super::live::PROFILE;
use super::push::PUSH;
use super::read::Origins;

const LISTEN: &str = "http.listen";

/// Periods that the device's buffer must hold: with fewer, one late wake loses sound.
const PERIODS_IN_BUFFER: u32 = 4;

/// Real-time priority above which the kernel's own threads, the sound card's among them, may wait
/// for the capture thread.
const WISE_PRIORITY: u8 = 89;

/// Holds the keys against each other.
pub(super) fn judge(config: &Config, origins: &Origins<'_>, complaints: &mut Vec<Complaint>) {
    let rules =
        [buffer_holds_periods, tone_is_below_nyquist, file_has_path, heartbeat_before_stale, tls_is_whole];
    complaints.extend(rules.iter().filter_map(|rule| rule(config, origins)));
    complaints.extend(listen_is_guarded(config, origins));
    complaints.extend(listen_is_once(config, origins));
    complaints.extend(metrics_are_guarded(config, origins));
    complaints.extend(profiles_can_be(config, origins));
    complaints.extend(effects_fit_the_rate(config, origins));
    complaints.extend(pushes_can_be(config, origins));
}

/// A complaint about two keys: the first one that is set is to blame, the other one is shown too.
fn between(origins: &Origins<'_>, title: String, keys: [(&str, String); 2]) -> Option<Complaint> {
    let is_unsure =
        |path: &str| origins.is_broken(path) || (origins.of(path).is_none() && !origins.is_whole());
    if keys.iter().any(|(path, _)| is_unsure(path)) {
        return None;
    }
    let mut set = keys.into_iter().filter_map(|(path, label)| Some((origins.of(path)?.whole(), label)));
    let (place, label) = set.next()?;
    let complaint = Complaint::new(title, place, label);
    Some(set.fold(complaint, |complaint, (place, label)| complaint.and(place, label)))
}

fn buffer_holds_periods(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    let (buffer, period) = (config.capture.buffer_ms, config.capture.period_ms);
    let least = period * PERIODS_IN_BUFFER;
    if buffer >= least {
        return None;
    }
    between(
        origins,
        format!("the buffer holds fewer than {PERIODS_IN_BUFFER} periods"),
        [
            ("capture.buffer_ms", format!("expected {least} or more, beside a period of {period} ms")),
            (
                "capture.period_ms",
                format!("expected {} or less, beside a buffer of {buffer} ms", buffer / PERIODS_IN_BUFFER),
            ),
        ],
    )
}

fn tone_is_below_nyquist(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    let SourceSettings::Tone(tone) = &config.capture.source else { return None };
    let rate = config.capture.sample_rate;
    let limit = f64::from(rate) / 2.0;
    if tone.frequency_hz < limit {
        return None;
    }
    between(
        origins,
        "the tone is too high for the sample rate".to_owned(),
        [
            ("capture.tone.frequency_hz", format!("expected less than {limit}, half of {rate} Hz")),
            (
                "capture.sample_rate",
                format!("expected more than {}, twice the tone", 2.0 * tone.frequency_hz),
            ),
        ],
    )
}

fn file_has_path(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    const PATH: &str = "capture.file.path";
    let SourceSettings::File(file) = &config.capture.source else { return None };
    if !file.path.as_os_str().is_empty() || origins.is_broken(PATH) || !origins.is_whole() {
        return None;
    }
    let place = origins.of_table("capture.file")?.clone();
    Some(Complaint::new(format!("`{PATH}` is missing"), place, "expected a `path`: the sound file to play"))
}

fn heartbeat_before_stale(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    let (heartbeat, stale) = (config.http.sse_heartbeat.as_secs(), config.http.stale_after.as_secs());
    if heartbeat < stale {
        return None;
    }
    between(
        origins,
        "a quiet connection would be stale before its heartbeat".to_owned(),
        [
            ("http.stale_after_s", format!("expected more than {heartbeat}, the seconds between heartbeats")),
            ("http.sse_heartbeat_s", format!("expected less than {stale}, the seconds to stale")),
        ],
    )
}

/// A certificate and its key go together, and the rest of `[http.tls]` with them.
fn tls_is_whole(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    const CERT: &str = "http.tls.cert";
    const KEY: &str = "http.tls.key";
    const REDIRECT: &str = "http.tls.redirect_listen";
    let tls = &config.http.tls;
    let (there, missing) = match (&tls.cert, &tls.key) {
        (Some(_), Some(_)) => return None,
        (Some(_), None) => (CERT, KEY),
        (None, Some(_)) => (KEY, CERT),
        (None, None) if !tls.redirect_listen.is_empty() => (REDIRECT, CERT),
        (None, None) => return None,
    };
    if [CERT, KEY, REDIRECT].iter().any(|key| origins.is_broken(key)) || !origins.is_whole() {
        return None;
    }
    let place = origins.of(there)?.whole();
    let label = format!("expected `{missing}` beside it");
    Some(Complaint::new("TLS needs a certificate and its key", place, label))
}

/// A band of the equaliser needs a frequency that sound of this rate can have.
fn effects_fit_the_rate(config: &Config, origins: &Origins<'_>) -> Vec<Complaint> {
    const EFFECTS: &str = "process.effects";
    const RATE: &str = "capture.sample_rate";
    let rate = config.capture.sample_rate;
    let is_unsure = origins.is_broken(RATE) || (origins.of(RATE).is_none() && !origins.is_whole());
    let places = entry_places(origins, EFFECTS).filter(|_| !is_unsure).unwrap_or_default();
    let effects = config.process.effects.iter().zip(places);
    let complaints = effects.flat_map(|(effect, place)| {
        effect.check(rate).into_iter().map(move |sentence| {
            Complaint::new("an effect is not for this sample rate", place.clone(), sentence)
        })
    });
    complaints.collect()
}

/// Where the entries of `http.listen` stand.
fn listen_places(origins: &Origins<'_>) -> Option<Vec<Place>> {
    entry_places(origins, LISTEN)
}

/// Where the entries of a list stand.
fn entry_places(origins: &Origins<'_>, key: &str) -> Option<Vec<Place>> {
    let entry: &Entry<'_> = origins.of(key).filter(|_| !origins.is_broken(key))?;
    let value = entry.readings(true).into_iter().next()?;
    let spans: Vec<Range<usize>> = value.get_ref().as_array()?.iter().map(toml::Spanned::span).collect();
    Some(spans.into_iter().map(|span| entry.place(span)).collect())
}

fn listen_is_guarded(config: &Config, origins: &Origins<'_>) -> Vec<Complaint> {
    let places = listen_places(origins).unwrap_or_default();
    let addresses = config.http.listen.iter().zip(places);
    let exposed = addresses.filter_map(|(address, place)| exposed(config, LISTEN, *address, place));
    exposed.collect()
}

fn exposed(config: &Config, key: &str, address: SocketAddr, place: Place) -> Option<Complaint> {
    let error = access::judge(config.access.mode, key, &[address]).err()?;
    let title = "the door would be open to the network";
    Some(Complaint::new(title, place, "not a loopback address").help(error.message()))
}

/// The listener of the metrics is guarded like the others, and is none of them.
fn metrics_are_guarded(config: &Config, origins: &Origins<'_>) -> Option<Complaint> {
    const KEY: &str = "http.metrics_listen";
    let address = config.http.metrics_listen?;
    let place = origins.of(KEY).filter(|_| !origins.is_broken(KEY))?.whole();
    let is_taken = address.port() != 0 && config.http.listen.contains(&address);
    if is_taken && !origins.is_broken(LISTEN) && origins.is_whole() {
        let title = format!("{address} is in `{LISTEN}` already");
        let help = format!("leave `{KEY}` out: /metrics is there by itself");
        return Some(Complaint::new(title, place, "expected an address of its own").help(help));
    }
    exposed(config, KEY, address, place)
}

/// The figures of a profile that decide whether its encoding can be, the likeliest to be wrong first.
const FIGURES: [&str; 8] = [
    "bitrate_kbps",
    "sample_rate",
    "channels",
    "codec",
    "aac_profile",
    "bit_depth",
    "mp3_quality",
    "flac_level",
];

/// Every reason why the encoding of a profile cannot be, at a figure that somebody wrote.
fn profiles_can_be(config: &Config, origins: &Origins<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (name, profile) in &config.live.profiles {
        let paths = FIGURES.map(|figure| format!("{PROFILE}{name}.{figure}"));
        let written = paths.iter().find_map(|path| origins.of(path));
        complaints.extend(effects_can_be(config, origins, name));
        let Some(place) = written.map(Entry::whole) else { continue };
        if paths.iter().any(|path| origins.is_broken(path)) || !origins.is_whole() {
            continue;
        }
        let title = format!("the profile `{name}` cannot be");
        let reasons = profile.check().into_iter();
        complaints.extend(reasons.map(|reason| Complaint::new(title.clone(), place.clone(), reason)));
    }
    complaints
}

/// Effects that do not go with the sample rate of the programme.
fn effects_can_be(config: &Config, origins: &Origins<'_>, profile: &str) -> Vec<Complaint> {
    let path = format!("{PROFILE}{profile}.effects");
    let Some(place) = origins.of(&path).filter(|_| !origins.is_broken(&path)).map(Entry::whole) else {
        return Vec::new();
    };
    let effects = config.live.profiles.get(profile).map_or(&[][..], |profile| &profile.effects);
    if built_in().get(profile).is_some_and(|shipped| shipped.effects == effects) {
        // What was shipped, written down, is no fault of who wrote it: a printed file reads back.
        return Vec::new();
    }
    let reasons = chain::check(effects, config.capture.sample_rate).into_iter();
    let title = format!("the effects of the profile `{profile}` cannot be");
    reasons.map(|reason| Complaint::new(title.clone(), place.clone(), reason)).collect()
}

/// Every push has an address, and one of its own; its profile exists; its password is in one place.
fn pushes_can_be(config: &Config, origins: &Origins<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, push) in config.push.iter().enumerate() {
        let path = |key: &str| format!("{PUSH}.{number}.{key}");
        let place = |key: &str| {
            let path = path(key);
            origins.of(&path).filter(|_| !origins.is_broken(&path)).map(Entry::whole)
        };
        let table = origins.of_table(&format!("{PUSH}.{number}"));
        if let (None, Some(table), false, true) =
            (&push.url, table, origins.is_broken(&path("url")), origins.is_whole())
        {
            let label = "expected a `url`: where to send the sound";
            complaints.push(Complaint::new(format!("`{}` is missing", path("url")), table.clone(), label));
        }
        let is_same = |other: &&push::Settings| match (&other.url, &push.url) {
            (Some(other), Some(url)) => other.is_same_mount(url),
            _ => false,
        };
        if let (Some(_), Some(place)) = (config.push.iter().take(number).find(is_same), place("url")) {
            let title = "two tables of [[live.push]] have the same mount point";
            complaints.push(Complaint::new(title, place, "expected another one: it takes one stream"));
        }
        if let (false, Some(place)) = (config.live.profiles.contains_key(&push.profile), place("profile")) {
            let names: Vec<&str> = config.live.profiles.keys().map(String::as_str).collect();
            let label = format!("expected one of {}", names.join(", "));
            complaints.push(Complaint::new(format!("there is no profile `{}`", push.profile), place, label));
        }
        if let (false, Some(place)) = (push.password.is_empty(), place("password_file")) {
            let title = "two places for one password";
            complaints.push(Complaint::new(title, place, "leave this out, or `password`"));
        }
    }
    complaints
}

/// Port 0 is another port each time.
fn listen_is_once(config: &Config, origins: &Origins<'_>) -> Vec<Complaint> {
    let places = listen_places(origins).unwrap_or_default();
    let listen: &[SocketAddr] = &config.http.listen;
    let twice = listen.iter().zip(&places).enumerate().filter_map(|(at, (address, place))| {
        let first = listen.iter().take(at).position(|other| other == address && address.port() != 0)?;
        let complaint = Complaint::new(format!("{address} stands twice"), place.clone(), "again here");
        Some(complaint.and(places.get(first)?.clone(), "here first"))
    });
    twice.collect()
}

/// What is allowed but unwise, a line each.
pub(super) fn warnings(config: &Config, origins: &Origins<'_>, document: Option<&Document>) -> Vec<String> {
    let at = |path: &str| match origins.of(path).map(Entry::whole) {
        Some(Place::File { start, .. }) => document.map_or_else(String::new, |document| {
            let (line, column) = document.position(start);
            format!("{}:{line}:{column}: ", document.name())
        }),
        Some(Place::Variable { name, .. }) => format!("{name}: "),
        None => String::new(),
    };
    let mut warnings = Vec::new();
    if let Some(document) = document.filter(|document| document.is_world_writable()) {
        warnings.push(format!("{}: everybody may write to it (mend it with chmod o-w)", document.name()));
    }
    if config.capture.realtime_priority > WISE_PRIORITY {
        warnings.push(format!(
            "{}capture.realtime_priority is {}: above {WISE_PRIORITY} the kernel's own threads may have to wait",
            at("capture.realtime_priority"),
            config.capture.realtime_priority
        ));
    }
    if let Some(address) = config.http.metrics_listen
        && config.http.tls.cert.is_some()
        && !address.ip().to_canonical().is_loopback()
    {
        warnings.push(format!(
            "{}http.metrics_listen is without TLS, and {address} is no loopback address: tokens that are shown \
             there can be read on the way",
            at("http.metrics_listen"),
        ));
    }
    if let SourceSettings::Alsa(alsa) = &config.capture.source
        && is_by_index(&alsa.device)
    {
        warnings.push(format!(
            "{}capture.alsa.device {:?} counts cards, whose order may change at any boot: \
             `talasctl devices` lists names that stay",
            at("capture.alsa.device"),
            alsa.device
        ));
    }
    warnings
}

/// Whether a device is named by the number of its card, as in `hw:0,0` or `plughw:CARD=1`.
fn is_by_index(device: &str) -> bool {
    let arguments = device.split_once(':').map_or("", |(_, arguments)| arguments);
    let card = arguments.split(',').find_map(|argument| argument.strip_prefix("CARD=")).unwrap_or(arguments);
    card.starts_with(|first: char| first.is_ascii_digit())
}
