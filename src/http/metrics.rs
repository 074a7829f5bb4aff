//! `GET /metrics`: everything measured, as OpenMetrics text.
//!
//! Nothing is counted here: each scrape renders what the station has at that moment, so the metrics,
//! the statistics and `talasctl status` cannot differ. No label grows with listeners or with what a
//! client sends: values are states, reasons, channels, conditions and names of renditions.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::families::Families;
use super::reply::Problem;
use super::routes::Routes;
use super::sound_metrics;
use crate::audio;
use crate::station::{Measures, SoundStreams, Station, Streams};
use talas_wire::{Capture, EffectState, Handshakes, Process, Push, PushState, Realtime, Tls};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Every state that the programme can be in.
const STATES: [audio::State; 6] = [
    audio::State::Starting,
    audio::State::Running,
    audio::State::Paused,
    audio::State::Stalled,
    audio::State::Absent,
    audio::State::Stopping,
];

/// Every way in which the capture thread can be scheduled.
const SCHEDULES: [(&str, Realtime); 4] = [
    ("fifo", Realtime::Fifo),
    ("denied", Realtime::Denied),
    ("demoted", Realtime::Demoted),
    ("off", Realtime::Off),
];

/// The route.
pub fn routes(station: &Arc<Station>) -> Routes {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Rendered { station: station.clone() }));
    let scrape = Scrape { registry: Arc::new(registry), turn: Arc::new(Semaphore::new(1)) };
    Routes::default().route("/metrics", get(metrics).with_state(scrape))
}

#[derive(Clone)]
struct Scrape {
    registry: Arc<Registry>,
    /// One scrape at a time: a hung disk may hold one thread, not all of them.
    turn: Arc<Semaphore>,
}

async fn metrics(State(scrape): State<Scrape>) -> Result<Response, Problem> {
    let failed = || {
        let detail = "the metrics could not be gathered";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    };
    let turn = scrape.turn.acquire_owned().await.map_err(|_| failed())?;
    let gathered = tokio::task::spawn_blocking(move || {
        let mut page = String::new();
        let written = text::encode(&mut page, &scrape.registry);
        drop(turn);
        written.map(|()| page)
    });
    let page = gathered.await.map_err(|_| failed())?.map_err(|fmt::Error| failed())?;
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The station, measured anew at each scrape.
#[derive(Debug)]
struct Rendered {
    station: Arc<Station>,
}

impl Collector for Rendered {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let measures = self.station.measures();
        let mut families = Families::new(encoder);
        founding(&mut families, &measures)?;
        daemon(&mut families, &measures)?;
        refusals(&mut families, &measures)?;
        measures.status.tls.as_ref().map_or(Ok(()), |status| tls(&mut families, status))?;
        programme(&mut families, &measures)?;
        capture(&mut families, &measures.status.capture)?;
        gaps(&mut families, &measures)?;
        effects(&mut families, &measures.status.process)?;
        sound_metrics::sound(&mut families, &measures)?;
        renditions(&mut families, &measures)?;
        pushes(&mut families, &measures.status.pushes)?;
        streams(&mut families, &measures.streams)?;
        live(&mut families, &measures.live)?;
        packets(&mut families, &measures.packets)?;
        process(&mut families, &measures)
    }
}

/// The names of the founding documents, kept for dashboards and alerts that were made for them.
fn founding(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let Measures { streams, memory, .. } = measures;
    to.gauge("audio_sse_connections_active", "Streams of live frames now", streams.active)?;
    to.counter(
        "audio_frames_sent_total",
        "Blocks whose last byte was written to a listener's socket",
        streams.latency.count,
    )?;
    to.histogram(
        "audio_sse_latency_seconds",
        "From the capture of a block's first sample to the write of its last byte to a listener's socket",
        &streams.latency,
    )?;
    to.gauge("veza_streams_active_total", "Streams of live frames now", streams.active)?;
    to.counter("veza_streams_created_total", "Streams of live frames begun", streams.begun)?;
    to.counter("veza_streams_ended_total", "Streams of live frames ended", streams.ended)?;
    to.gauge(
        "veza_stream_latency_seconds",
        "Mean of audio_sse_latency_seconds over the last seconds; 0 without listeners",
        streams.mean_latency_s,
    )?;
    to.gauge("veza_memory_usage_bytes", "Resident memory of the daemon", memory.used_bytes)?;
    let cpu_help = "Processor time of the daemon over the last seconds in per cent of one core";
    to.gauge("veza_cpu_usage_percent", cpu_help, measures.cpu_percent)?;
    to.gauge_if(
        "veza_disk_usage_bytes",
        "Bytes in use on the file system of the state directory",
        measures.disk_used_bytes,
    )
}

fn daemon(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    to.info("talas_build_info", "The daemon's version", ("version", &measures.status.version))?;
    to.gauge("talas_uptime_seconds", "Time since the daemon started", measures.uptime_s)?;
    let http = measures.status.listeners.http;
    to.gauge("talas_http_connections", "Open HTTP connections of any use", http)?;
    to.gauge_if(
        "talas_disk_free_bytes",
        "Bytes free for the daemon on the file system of the state directory",
        measures.status.disk.free_bytes,
    )
}

/// There are as many limits as the configuration has keys for them.
fn refusals(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let refused = measures.status.access.refused.iter().map(|(limit, refused)| (limit.as_str(), *refused));
    to.counters("talas_limit_refusals_total", "Requests refused by a limit", "limit", refused)
}

fn tls(to: &mut Families<'_>, tls: &Tls) -> fmt::Result {
    // Milliseconds far below 2^53.
    let expiry_s = tls.certificate.not_after_ms as f64 / 1e3;
    to.gauge(
        "talas_tls_certificate_expiry_timestamp_seconds",
        "When the certificate in force ends, in seconds since the epoch",
        expiry_s,
    )?;
    to.gauge(
        "talas_tls_certificate_refused",
        "1 while what is in the files of the certificate cannot be used and an older one is in force",
        u64::from(tls.problem.is_some()),
    )?;
    let Handshakes { under_way, done, failed, not_tls, late, displaced, left } = tls.handshakes;
    to.gauge("talas_tls_handshakes_under_way", "TLS handshakes that have not ended yet", under_way)?;
    to.counters(
        "talas_tls_handshakes_total",
        "TLS handshakes by how they ended",
        "result",
        [
            ("done", done),
            ("failed", failed),
            ("not_tls", not_tls),
            ("late", late),
            ("displaced", displaced),
            ("left", left),
        ],
    )
}

fn programme(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let status = &measures.status;
    let one_of = |now: audio::State| STATES.map(|state| (state.as_str(), u64::from(state == now)));
    to.gauges("talas_programme_state", "1 for the programme's state", "state", one_of(status.state))?;
    let source = one_of(status.source.state);
    to.gauges("talas_source_state", "1 for the source's state, pause apart", "state", source)?;
    to.counter("talas_blocks_total", "Blocks since the daemon started", measures.blocks)
}

fn capture(to: &mut Families<'_>, capture: &Capture) -> fmt::Result {
    to.gauge("talas_capture_sample_rate_hertz", "Frames per second", u64::from(capture.sample_rate))?;
    to.gauge(
        "talas_capture_channels",
        "Channels that the device granted; 0 before it was opened",
        u64::from(capture.channels),
    )?;
    to.counter("talas_capture_frames_total", "Frames captured", capture.captured_samples)?;
    to.counter(
        "talas_capture_lost_frames_total",
        "Frames that listeners did not get: all gaps but pauses",
        capture.lost_samples,
    )?;
    to.counter("talas_capture_overruns_total", "Times the device's buffer ran over", capture.overruns)?;
    to.counter("talas_capture_suspends_total", "Times the device was suspended", capture.suspends)?;
    to.counter(
        "talas_capture_stalls_total",
        "Times the device stayed open and delivered nothing",
        capture.stalls,
    )?;
    to.counter("talas_capture_unplugs_total", "Times the device went away", capture.unplugs)?;
    to.counter(
        "talas_capture_ring_dropped_frames_total",
        "Frames dropped because the ring to the pump was full",
        capture.ring_dropped_samples,
    )?;
    to.gauge(
        "talas_capture_ring_peak_ratio",
        "The most that the ring to the pump has held since the start, from 0 to 1",
        capture.ring_peak,
    )?;
    to.counter(
        "talas_capture_nonfinite_samples_total",
        "Samples that were not a finite number and became 0",
        capture.nonfinite_samples,
    )?;
    to.gauge_if(
        "talas_capture_drift_ppm",
        "The card's rate against the system clock in parts per million; absent until measured",
        capture.drift_ppm,
    )?;
    let realtime = SCHEDULES.map(|(name, schedule)| (name, u64::from(schedule == capture.realtime)));
    to.gauges("talas_capture_realtime", "1 for the capture thread's scheduling", "state", realtime)
}

fn gaps(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let holes = measures.gaps.iter().map(|gap| (gap.reason.as_str(), gap.holes));
    to.counters("talas_capture_gaps_total", "Gaps that ended, by their first cause", "reason", holes)?;
    let filler = measures.gaps.iter().map(|gap| (gap.reason.as_str(), gap.filler));
    let help = "Frames of silence put in the place of missing sound";
    to.counters("talas_capture_filler_frames_total", help, "reason", filler)
}

/// An effect is told apart by its place and type, such as `2 limiter`: there are 64 at most.
fn effects(to: &mut Families<'_>, process: &Process) -> fmt::Result {
    to.gauge(
        "talas_effects_latency_seconds",
        "Delay by the effects of the programme",
        process.latency_ms / 1e3,
    )?;
    to.gauge("talas_effects_bypassed", "1 while sound passes the effects by", u64::from(process.bypass))?;
    let labels: Vec<String> = process
        .effects
        .iter()
        .enumerate()
        .map(|(at, effect)| format!("{} {}", at + 1, effect.kind))
        .collect();
    let reading = |read: fn(&EffectState) -> Option<f64>| {
        labels
            .iter()
            .zip(&process.effects)
            .filter_map(move |(label, effect)| Some((label.as_str(), read(effect)?)))
    };
    let help = "By how much an effect lowers the sound now, in dB";
    to.gauges("talas_effect_reduction_db", help, "effect", reading(|effect| effect.reduction_db))?;
    let help = "By how much an effect raises the sound now, in dB";
    to.gauges("talas_effect_correction_db", help, "effect", reading(|effect| effect.correction_db))
}

fn renditions(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let running = || measures.status.renditions.iter();
    let label = "rendition";
    let listeners = running().map(|rendition| (rendition.name.as_str(), rendition.listeners));
    to.gauges("talas_rendition_listeners", "Listeners of a running rendition", label, listeners)?;
    let entries = running().map(|rendition| (rendition.name.as_str(), rendition.entries));
    let help = "Entries written since the rendition was started";
    to.counters("talas_rendition_entries_total", help, label, entries)?;
    let bytes = running().map(|rendition| (rendition.name.as_str(), rendition.bytes));
    to.counters("talas_rendition_bytes_total", "Bytes written since the rendition was started", label, bytes)
}

/// A push is told apart by its address: the configuration has a few.
fn pushes(to: &mut Families<'_>, pushes: &[Push]) -> fmt::Result {
    let label = "push";
    let connected =
        pushes.iter().map(|push| (push.url.as_str(), u64::from(push.state == PushState::Connected)));
    to.gauges("talas_push_connected", "1 while the server takes the sound", label, connected)?;
    let each = |read: fn(&Push) -> u64| pushes.iter().map(move |push| (push.url.as_str(), read(push)));
    let help = "Bytes of sound sent to a server";
    to.counters("talas_push_bytes_total", help, label, each(|push| push.bytes))?;
    let help = "Times a server accepted the sound";
    to.counters("talas_push_connections_total", help, label, each(|push| push.connections))?;
    let help = "Attempts and connections that failed";
    to.counters("talas_push_failures_total", help, label, each(|push| push.failures))
}

fn streams(to: &mut Families<'_>, streams: &Streams) -> fmt::Result {
    to.counter("talas_streams_begun_total", "Streams of live frames begun", streams.begun)?;
    to.counter("talas_streams_ended_total", "Streams of live frames ended", streams.ended)?;
    to.counter("talas_stream_bytes_total", "Bytes written to the sockets of live frames", streams.bytes)?;
    to.counter(
        "talas_stream_dropped_blocks_total",
        "Blocks that listeners missed because they were slow",
        streams.dropped,
    )
}

fn live(to: &mut Families<'_>, live: &SoundStreams) -> fmt::Result {
    to.gauge("talas_live_listeners", "Listeners of live sound now", live.active)?;
    to.counter("talas_live_begun_total", "Listeners of live sound ever come", live.begun)?;
    to.counter("talas_live_ended_total", "Listeners of live sound ever gone", live.ended)?;
    to.counter(
        "talas_live_cut_total",
        "Listeners of live sound cut because they fell too far behind",
        live.late,
    )?;
    to.counter("talas_live_bytes_total", "Bytes written to the sockets of live sound", live.bytes)?;
    to.histogram(
        "talas_live_latency_seconds",
        "From the capture of the first sample of what is written at once to its write to a listener who had everything before",
        &live.latency,
    )
}

fn packets(to: &mut Families<'_>, packets: &SoundStreams) -> fmt::Result {
    to.gauge("talas_websocket_listeners", "Listeners of low-latency sound now", packets.active)?;
    to.counter("talas_websocket_begun_total", "Listeners of low-latency sound ever come", packets.begun)?;
    to.counter("talas_websocket_ended_total", "Listeners of low-latency sound ever gone", packets.ended)?;
    to.counter(
        "talas_websocket_late_total",
        "Times that a listener of low-latency sound was too slow and missed some",
        packets.late,
    )?;
    to.counter(
        "talas_websocket_bytes_total",
        "Bytes of packets written to the sockets of low-latency sound",
        packets.bytes,
    )?;
    to.histogram(
        "talas_websocket_latency_seconds",
        "From the capture of a packet's first sample to its write to a listener who had everything before",
        &packets.latency,
    )
}

fn process(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let memory = &measures.memory;
    to.gauge("talas_process_resident_memory_bytes", "Resident memory", memory.used_bytes)?;
    to.gauge("talas_process_virtual_memory_bytes", "Virtual memory", memory.virtual_bytes)?;
    to.gauge(
        "talas_process_start_time_seconds",
        "When the daemon started, in seconds since the epoch",
        measures.started_ms as f64 / 1e3,
    )?;
    let Some(process) = measures.process else { return Ok(()) };
    to.counter("talas_process_cpu_seconds_total", "User and system time", process.cpu_s)?;
    to.gauge("talas_process_threads", "Threads", process.threads)?;
    to.gauge("talas_process_open_fds", "Open file descriptors", process.open_fds)?;
    to.gauge("talas_process_max_fds", "File descriptors that may be open", process.max_fds)
}
