//! Objects of the wire for the tests: a healthy appliance, and who listens to it.

use talas_wire::{
    Capture, ConnectionInfo, Disk, Gaps, Listeners, Process, Quality, Realtime, Signal, Source, SourceKind,
    State, Status,
};

/// A status without anything to complain of, an hour after the start at the epoch.
pub fn status() -> Status {
    Status {
        state: State::Running,
        reason: None,
        since_ms: 0,
        version: "0.1.0".to_owned(),
        uptime_seconds: 3600,
        addresses: Vec::new(),
        access: talas_wire::Access::default(),
        tls: None,
        source: Source {
            kind: SourceKind::Alsa,
            name: "hw:0".to_owned(),
            state: State::Running,
            reason: None,
            since_ms: 0,
        },
        capture: Capture {
            sample_rate: 48_000,
            format: Some("S16_LE".to_owned()),
            channels: 2,
            period_frames: 256,
            buffer_frames: 4096,
            captured_samples: 1_000_000,
            overruns: 0,
            suspends: 0,
            stalls: 0,
            unplugs: 0,
            lost_samples: 0,
            ring_dropped_samples: 0,
            filler_samples: 0,
            nonfinite_samples: 0,
            drift_ppm: Some(-4.31),
            realtime: Realtime::Fifo,
            ring_peak: 0.03,
        },
        gaps: Gaps { total: 0, last: None },
        signal: Signal::Sound,
        conditions: Vec::new(),
        renditions: Vec::new(),
        pushes: Vec::new(),
        listeners: Listeners::default(),
        title: String::new(),
        quality: Quality { profile: "high".to_owned(), scale: 1.0 },
        process: Process::default(),
        disk: Disk {
            state_dir: "/var/lib/talas".to_owned(),
            writable: true,
            free_bytes: Some(12_300_000_000),
        },
        warnings: Vec::new(),
    }
}

/// A listener since the epoch, of this id.
pub fn listener(id: &str) -> ConnectionInfo {
    ConnectionInfo {
        id: id.to_owned(),
        user_id: None,
        ip_address: "192.0.2.7".to_owned(),
        user_agent: "curl/8".to_owned(),
        connected_at: "1970-01-01T00:00:00Z".to_owned(),
        last_heartbeat: "1970-01-01T00:00:00Z".to_owned(),
        frames_sent: 0,
        bytes_sent: 0,
        errors_count: 0,
        path: "/live.mp3".to_owned(),
        kind: "live".to_owned(),
    }
}
