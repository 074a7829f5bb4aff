//! From a call to its answer: one short arm each. Also the table from kinds of error to codes.
//!
//! Not in here: whether the peer may call it (`talk`), and watches (`watch`).

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use talas_wire::{Fault, Level, code};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::methods::{Call, Method};
use super::{Order, Shared, access};
use crate::capture;
use crate::dsp::effect::Effect;
use crate::error::{Error, Kind, Result};
use crate::station::{self, PAGE, Scale, Station};
use crate::tools::journal::{self, Verbosity};

/// How long the daemon may take to carry out an order: less than the client's patience of 5 s, so that
/// it hears why.
const ORDER_DEADLINE: Duration = Duration::from_secs(4);
/// How long the drivers may take to say what their devices can do.
const PROBE_DEADLINE: Duration = Duration::from_secs(4);

/// The code of an error.
pub const fn code_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage | Kind::Invalid => code::BAD_PARAMS,
        Kind::NotFound => code::NOT_FOUND,
        // Whether the peer is allowed was settled before: what is denied here is denied to the daemon,
        // by the state of the machine.
        Kind::Denied | Kind::Config | Kind::Required | Kind::Conflict => code::CONFLICT,
        Kind::Unavailable | Kind::Gone => code::UNAVAILABLE,
        Kind::Busy => code::BUSY,
        Kind::Internal => code::INTERNAL,
    }
}

fn tls(station: &Station) -> Result<Value> {
    let off = || Error::new(Kind::NotFound, "TLS is off: http.tls.cert and http.tls.key switch it on");
    json(&station.tls().ok_or_else(off)?)
}

/// Does what the method does, for a peer of this level.
pub async fn answer(shared: &Shared, params: &Params<'_>, level: Level) -> Result<Value> {
    let station = &shared.station;
    match params.method.call {
        Call::Status => params.none().and_then(|()| json(&station.status())),
        Call::Version => params.none().and_then(|()| json(&Station::version())),
        Call::Tls => params.none().and_then(|()| tls(station)),
        Call::Pause => pause(shared, params, true).await,
        Call::Resume => pause(shared, params, false).await,
        Call::GetQuality => params.none().and_then(|()| json(&station.quality())),
        Call::SetQuality => set_quality(station, params).await,
        Call::GetTitle => params.none().and_then(|()| title(station)),
        Call::SetTitle => set_title(station, params),
        Call::GetProcess => params.none().and_then(|()| json(&station.processing().snapshot())),
        Call::SetProcess => set_process(station, params),
        Call::Bypass => bypass(station, params),
        // Who listens comes in pages, by a method of its own.
        Call::Stats => params.none().and_then(|()| json(&station.stats(0))),
        Call::Connections => connections(station, params, level),
        Call::Kick => kick(station, params),
        Call::Meters => params.none().and_then(|()| json(&station.meters())),
        Call::Devices => devices(shared, params).await,
        Call::Reload => reload(shared, params).await,
        Call::SetLog => set_log(params),
        call @ (Call::TokenMint
        | Call::TokenList
        | Call::TokenRevoke
        | Call::KeyAdd
        | Call::KeyList
        | Call::KeyRemove
        | Call::RoleList
        | Call::AccessTest
        | Call::AccessSessions) => access::answer(shared, params, call).await,
        Call::SetTone => set_tone(station, params),
        Call::FailTone => fail_tone(station, params),
    }
}

/// Any answer as JSON.
pub fn json(answer: &impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::caused(Kind::Internal, "the answer cannot be written", error))
}

/// What came with a request, not yet read.
#[derive(Debug)]
pub struct Params<'a> {
    method: &'a Method,
    params: Value,
}

impl<'a> Params<'a> {
    /// What came for this method; nothing at all is like an empty object.
    pub fn new(method: &'a Method, params: Value) -> Self {
        let params = if params.is_null() { json!({}) } else { params };
        Self { method, params }
    }

    /// As a type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        if !self.params.is_object() {
            return Err(self.wrong(&"params must be an object"));
        }
        T::deserialize(&self.params).map_err(|error| self.wrong(&error))
    }

    /// For methods that take nothing.
    pub fn none(&self) -> Result<()> {
        self.read::<Nothing>().map(|Nothing {}| ())
    }

    /// What is wrong with them, and what would be right.
    pub fn wrong(&self, what: &dyn Display) -> Error {
        let Method { name, params: takes, .. } = self.method;
        Error::new(Kind::Invalid, format!("{what}; {name} takes {takes}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn pause(shared: &Shared, params: &Params<'_>, paused: bool) -> Result<Value> {
    params.none()?;
    let warning = shared.station.pause(paused).await?;
    let mut answer = json!({ "state": shared.station.state().state });
    if let Some(warning) = warning {
        answer["warning"] = warning.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QualityWish {
    scale: Option<f64>,
    profile: Option<String>,
}

async fn set_quality(station: &Arc<Station>, params: &Params<'_>) -> Result<Value> {
    let mut warning = None;
    match params.read()? {
        QualityWish { scale: Some(scale), profile: None } => station.set_quality(Scale::nearest(scale)?),
        QualityWish { scale: None, profile: Some(profile) } => {
            warning = station.choose_profile(&profile).await?;
        }
        _ => return Err(params.wrong(&"one of scale and profile must be given")),
    }
    let mut answer = json(&station.quality())?;
    if let Some(warning) = warning {
        answer["warning"] = warning.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TitleWish {
    title: String,
}

fn set_title(station: &Station, params: &Params<'_>) -> Result<Value> {
    let TitleWish { title: wish } = params.read()?;
    station.live().set_title(&wish)?;
    title(station)
}

fn title(station: &Station) -> Result<Value> {
    Ok(json!({ "title": station.live().title() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessWish {
    effects: Vec<Effect>,
}

fn set_process(station: &Station, params: &Params<'_>) -> Result<Value> {
    let ProcessWish { effects } = params.read()?;
    station.processing().set_effects(effects)?;
    json(&station.processing().snapshot())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BypassWish {
    on: bool,
}

fn bypass(station: &Station, params: &Params<'_>) -> Result<Value> {
    let BypassWish { on } = params.read()?;
    station.processing().set_bypass(on);
    json(&station.processing().snapshot())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageWish {
    after: Option<String>,
    limit: Option<usize>,
}

fn connections(station: &Station, params: &Params<'_>, level: Level) -> Result<Value> {
    let PageWish { after, limit } = params.read()?;
    let mut page = station.connections(after.as_deref(), limit.unwrap_or(PAGE))?;
    if level == Level::Read {
        page.connections.iter_mut().for_each(station::redact);
    }
    json(&page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KickWish {
    id: String,
}

fn kick(station: &Station, params: &Params<'_>) -> Result<Value> {
    let KickWish { id } = params.read()?;
    station.kick(&id)?;
    Ok(json!({}))
}

async fn devices(shared: &Shared, params: &Params<'_>) -> Result<Value> {
    params.none()?;
    let turn = shared.probing.clone().try_acquire_owned();
    let turn = turn.map_err(|_| Error::new(Kind::Busy, "the devices are being listed already: try again"))?;
    let station = shared.station.clone();
    let probing = tokio::task::spawn_blocking(move || {
        // Held until the drivers have answered, also when nobody waits for it any more.
        let _turn = turn;
        capture::list_devices(station.alsa_device())
    });
    let unavailable = |reason| Error::new(Kind::Unavailable, reason);
    match tokio::time::timeout(PROBE_DEADLINE, probing).await {
        Ok(Ok(list)) => json(&list),
        Ok(Err(_)) => Err(unavailable("the daemon is stopping")),
        Err(_) => Err(unavailable("a sound driver does not answer: see the kernel's log")),
    }
}

async fn reload(shared: &Shared, params: &Params<'_>) -> Result<Value> {
    params.none()?;
    let (reply, report) = oneshot::channel();
    shared.orders.try_send(Order::Reload { reply }).map_err(|error| match error {
        TrySendError::Full(_) => Error::new(Kind::Busy, "the daemon carries out other orders: try again"),
        TrySendError::Closed(_) => Error::new(Kind::Unavailable, "the daemon is stopping"),
    })?;
    match tokio::time::timeout(ORDER_DEADLINE, report).await {
        Ok(Ok(report)) => json(&report?),
        Ok(Err(_)) => Err(Error::new(Kind::Unavailable, "the daemon is stopping")),
        Err(_) => Err(Error::new(
            Kind::Unavailable,
            "the daemon did not say in time what came of it: the journal will tell",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogWish {
    level: String,
}

fn set_log(params: &Params<'_>) -> Result<Value> {
    let LogWish { level } = params.read()?;
    let level: Verbosity = level.parse()?;
    journal::set_level(level);
    Ok(json!({ "level": level.as_str() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToneWish {
    level_dbfs: Option<f64>,
    frequency_hz: Option<f64>,
    silence: Option<bool>,
}

fn set_tone(station: &Station, params: &Params<'_>) -> Result<Value> {
    let ToneWish { level_dbfs, frequency_hz, silence } = params.read()?;
    let tone = station.tone()?;
    tone.set(level_dbfs, frequency_hz, silence)?;
    let (level_dbfs, frequency_hz, silence) = tone.get();
    Ok(json!({ "level_dbfs": level_dbfs, "frequency_hz": frequency_hz, "silence": silence }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultWish {
    fault: Fault,
    ms: u64,
}

fn fail_tone(station: &Station, params: &Params<'_>) -> Result<Value> {
    let FaultWish { fault, ms } = params.read()?;
    station.tone()?.fail(fault, Duration::from_millis(ms))?;
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_strict_and_say_what_is_taken() {
        let method = super::super::methods::find("quality.set").expect("in the table");
        let told = |params| {
            let read = Params::new(method, params).read::<QualityWish>();
            read.err().map(|error| (error.kind(), error.message().to_owned()))
        };
        assert_eq!(told(Value::Null), None);
        assert_eq!(told(json!({ "scale": 1 })), None);
        for (wrong, word) in
            [(json!({ "scales": 1 }), "scales"), (json!({ "scale": "x" }), "\"x\""), (json!([1]), "object")]
        {
            let (kind, message) = told(wrong).expect("refused");
            assert_eq!(kind, Kind::Invalid);
            assert!(message.contains(word) && message.contains("takes either {\"scale\""), "{message}");
        }
    }

    #[test]
    fn only_the_door_denies() {
        assert_eq!(code_of(Kind::Denied), code::CONFLICT);
        assert_eq!(code_of(Kind::Invalid), code::BAD_PARAMS);
    }
}
