//! Everything observable, gathered in one place. The control socket, HTTP and `talasctl` only render it.

use std::sync::atomic::Ordering;

use nix::sys::statvfs::{Statvfs, statvfs};
use talas_wire::{
    Capture, ConnectionInfo, ConnectionPage, DetailedStreamStats, Disk, Gaps, Listeners, Quality, Realtime,
    Rendition, Source, Status, Tls, Version,
};
use uuid::Uuid;

use super::{Station, tls};
use crate::capture::Demotion;
use crate::error::{Error, Kind, Result};
use crate::tools::lock::lock;

/// A file system with less room for the daemon than this is nearly full.
const NEARLY_FULL_BYTES: u64 = 100_000_000;
/// Most connections in one page.
pub const PAGE: usize = 200;

impl Station {
    /// The one snapshot.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let state = shared.state.get();
        let source = shared.source_state.get();
        let disk = self.disk();
        let tls = self.tls();
        Status {
            state: state.state,
            reason: state.reason.as_deref().map(str::to_owned),
            since_ms: state.since_ms,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: shared.started.elapsed().as_secs(),
            addresses: self.addresses.get().cloned().unwrap_or_default(),
            access: self.gate.get().map(|gate| gate.describe()).unwrap_or_default(),
            source: Source {
                kind: shared.source_kind,
                name: shared.source_name.clone(),
                state: source.state,
                reason: source.reason.as_deref().map(str::to_owned),
                since_ms: source.since_ms,
            },
            capture: self.capture(),
            gaps: Gaps { total: shared.gaps.total(), last: shared.gaps.last() },
            signal: self.signal(),
            conditions: self.conditions(),
            renditions: self.renditions(),
            pushes: self.pushes.list(),
            listeners: Listeners {
                sse: shared.listeners.frames(),
                live: shared.listeners.live(),
                websocket: shared.listeners.packets(),
                http: shared.listeners.connections.load(Ordering::Relaxed),
            },
            quality: self.quality(),
            title: self.live.title(),
            process: self.shared.processing.snapshot(),
            warnings: self.warnings(&disk, tls.as_ref()),
            tls,
            disk,
        }
    }

    fn capture(&self) -> Capture {
        let counters = &self.shared.counters;
        let granted = self.shared.granted();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Capture {
            sample_rate: self.shared.settings.sample_rate,
            format: granted.as_ref().map(|granted| granted.format.to_owned()),
            channels: granted.as_ref().map_or(0, |granted| granted.channels.into()),
            period_frames: granted.as_ref().map_or(0, |granted| granted.period_frames),
            buffer_frames: granted.as_ref().map_or(0, |granted| granted.buffer_frames),
            captured_samples: read(&counters.captured),
            overruns: read(&counters.overruns),
            suspends: read(&counters.suspends),
            stalls: read(&counters.stalls),
            unplugs: read(&counters.unplugs),
            lost_samples: self.shared.gaps.lost(),
            ring_dropped_samples: read(&counters.ring_dropped),
            filler_samples: self.shared.gaps.filler(),
            nonfinite_samples: read(&counters.nonfinite),
            drift_ppm: counters.drift_ppm(),
            realtime: self.realtime(),
            ring_peak: f64::from(counters.ring_peak_permille.load(Ordering::Relaxed)) / 1000.0,
        }
    }

    fn realtime(&self) -> Realtime {
        match self.shared.counters.realtime() {
            Realtime::Fifo if Demotion::happened() => Realtime::Demoted,
            other => other,
        }
    }

    fn renditions(&self) -> Vec<Rendition> {
        let frames = self.shared.renditions.list();
        let running = self.live.list();
        let live = running.iter().map(|running| Rendition {
            name: running.plan.key.name(),
            listeners: running.listeners(),
            entries: running.packets(),
            bytes: running.bytes(),
            since_ms: running.since_ms,
        });
        frames.into_iter().chain(live).chain(self.shared.packets.list()).collect()
    }

    /// The global quality.
    pub fn quality(&self) -> Quality {
        let scale = self.shared.controls.quality();
        Quality { profile: self.live.chosen().to_string(), scale: scale.value() }
    }

    fn disk(&self) -> Disk {
        Disk {
            state_dir: self.state_dir.display().to_string(),
            // For root everything is writable, also what is no directory.
            writable: self.state_dir.is_dir()
                && nix::unistd::access(&self.state_dir, nix::unistd::AccessFlags::W_OK).is_ok(),
            free_bytes: self.file_system().map(|stat| stat.blocks_available() * stat.fragment_size()),
        }
    }

    /// The file system of the state directory: where it is, or where it will be made.
    pub(super) fn file_system(&self) -> Option<Statvfs> {
        self.state_dir.ancestors().find_map(|folder| statvfs(folder).ok())
    }

    fn warnings(&self, disk: &Disk, tls: Option<&Tls>) -> Vec<String> {
        let mut warnings = self.config_warnings.clone();
        warnings.extend(
            lock(&self.unsaved)
                .as_ref()
                .map(|reason| format!("the newest pause or resume will not survive a restart: {reason}")),
        );
        if let Some(free) = disk.free_bytes.filter(|free| *free < NEARLY_FULL_BYTES) {
            let (dir, free_kb) = (&disk.state_dir, free / 1000);
            warnings.push(format!("the disk of {dir} is nearly full: {free_kb} kB are free"));
        }
        match self.realtime() {
            Realtime::Denied => warnings.push(
                "the capture thread has no real-time priority: allow it by LimitRTPRIO= or an entry in limits.conf"
                    .to_owned(),
            ),
            Realtime::Demoted => {
                warnings.push("the capture thread used up its processor budget and lost its real-time priority".to_owned());
            }
            Realtime::Fifo | Realtime::Off => {}
        }
        warnings.extend(tls.into_iter().flat_map(tls::warnings));
        warnings
    }

    /// Statistics of the frame API, with the first page of connections.
    pub fn stats(&self, connections: usize) -> DetailedStreamStats {
        let figures = self.rates.figures();
        let listeners = &self.shared.listeners;
        let totals = &listeners.totals;
        let dropped = totals.dropped.load(Ordering::Relaxed);
        let due = dropped + totals.latency.count();
        DetailedStreamStats {
            total_frames: self.shared.blocks_made(),
            frames_per_second: figures.blocks_per_second,
            active_subscribers: listeners.frames(),
            dropped_frames: dropped,
            connection_count: listeners.count(),
            connections: listeners.page(None, connections).iter().map(|listener| listener.info()).collect(),
            memory_usage: figures.memory,
            cpu_usage: figures.cpu_percent,
            uptime_seconds: self.shared.started.elapsed().as_secs(),
            average_latency_ms: figures.latency_ms,
            bandwidth_usage_mbps: figures.bytes_per_second * 8.0 / 1e6,
            error_rate_percent: if due > 0 { dropped as f64 / due as f64 * 100.0 } else { 0.0 },
        }
    }

    /// A page of connections.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an id that is none, or a page of 0 or more than [`PAGE`].
    pub fn connections(&self, after: Option<&str>, limit: usize) -> Result<ConnectionPage> {
        if !(1..=PAGE).contains(&limit) {
            return Err(Error::new(Kind::Invalid, format!("limit must be from 1 to {PAGE}, not {limit}")));
        }
        let after = after
            .map(|id| {
                id.parse::<Uuid>()
                    .map_err(|_| Error::new(Kind::Invalid, format!("after: {id:?} is no connection id")))
            })
            .transpose()?;
        let listeners = &self.shared.listeners;
        let page = listeners.page(after, limit + 1);
        let connections: Vec<_> = page.iter().take(limit).map(|listener| listener.info()).collect();
        let next = if page.len() > limit { connections.last().map(|info| info.id.clone()) } else { None };
        Ok(ConnectionPage { connections, next, total: listeners.count() })
    }

    /// Versions.
    pub fn version() -> Version {
        Version { daemon: env!("CARGO_PKG_VERSION").to_owned(), proto: talas_wire::PROTO }
    }
}

/// What stands where somebody may not know.
const REDACTED: &str = "redacted";

/// Takes out who a listener is.
pub fn redact(connection: &mut ConnectionInfo) {
    REDACTED.clone_into(&mut connection.ip_address);
    REDACTED.clone_into(&mut connection.user_agent);
    if let Some(user_id) = &mut connection.user_id {
        REDACTED.clone_into(user_id);
    }
}

#[cfg(test)]
mod redaction {
    use super::*;

    fn info() -> ConnectionInfo {
        ConnectionInfo {
            id: "1".to_owned(),
            user_id: Some("ada".to_owned()),
            ip_address: "192.0.2.1".to_owned(),
            user_agent: "curl/8".to_owned(),
            connected_at: "2026-01-01T00:00:00Z".to_owned(),
            last_heartbeat: "2026-01-01T00:00:01Z".to_owned(),
            frames_sent: 1,
            bytes_sent: 2,
            errors_count: 3,
            path: "/live.mp3".to_owned(),
            kind: "live".to_owned(),
        }
    }

    #[test]
    fn a_redacted_listener_says_nothing_about_who_listens() {
        let mut listener = info();
        redact(&mut listener);
        let text = serde_json::to_string(&listener).expect("JSON");
        for secret in ["ada", "192.0.2.1", "curl"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("frames_sent"));
    }
}
