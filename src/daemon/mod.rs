//! The life of the process, on one screen: configuration, log, build, spawn, wait, drain.
//!
//! This floor wires siblings together and owns everything: the threads, the runtimes, the stop signals.
//! What is opened last is closed first.

mod admin;
mod cli;
mod drain;
mod manual;
mod notify;
mod panic;
mod reload;
mod sockets;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::access;
use crate::capture;
use crate::config::{self, Config, Environment, Loaded};
use crate::control;
use crate::error::{Context, Error, Kind, Result};
use crate::http;
use crate::keys::Gate;
use crate::library::Library;
use crate::station::{self, Station};
use crate::tools::stop::{self, Stop, StopOwner};
use crate::tools::workers::Crew;
use crate::tools::{journal, paths};
use cli::Arguments;
use reload::{Handles, Reloader};

/// Orders from the control socket that may wait at a time.
const ORDERS: usize = 16;

/// Runs the daemon to its end.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; a closed stdout is nobody's loss.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Kind::Usage.exit_code() } else { 0 });
        }
    };
    if let Some(page) = arguments.manual {
        page.print();
        return ExitCode::SUCCESS;
    }
    let environment = Environment::of_process();
    let loaded = match config::load(arguments.config.as_deref(), &environment) {
        Ok(loaded) => loaded,
        Err(error) => {
            // The log is not up: its level is in the file. The message is complete as it is.
            eprintln!("{}", error.message());
            return ExitCode::from(error.kind().exit_code());
        }
    };
    if let Some(code) = cli::answer(&arguments, &loaded) {
        return code;
    }
    journal::start(loaded.config.log.level);
    panic::install();
    match run(&arguments, environment, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "daemon_failed", reason = error.chain(), "talasd ends");
            notify::failed(&error.chain());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(arguments: &Arguments, environment: Environment, loaded: Loaded) -> Result<()> {
    for warning in &loaded.warnings {
        tracing::warn!(event = "config_warning", reason = warning, "look at the configuration");
    }
    let built = build(&loaded)?;
    let reloader = Reloader::new(
        arguments.config.clone(),
        environment,
        loaded.config,
        Handles {
            http: built.http.handle(),
            library: built.library.clone(),
            gate: built.gate.clone(),
            station: built.station.clone(),
        },
    );
    let mut running = built.spawn()?;
    let end = running.wait(reloader);
    drain::drain(running);
    end
}

/// Everything that can fail at start: bound and made, nothing running yet.
struct Built {
    station: Arc<Station>,
    parts: station::Parts,
    pushes: Vec<station::push::Settings>,
    library: Arc<Library>,
    gate: Arc<Gate>,
    http: http::Door,
    control: control::Door,
    control_socket: sockets::ControlSocket,
    orders: mpsc::Receiver<control::Order>,
    workers: Crew,
    admin: Runtime,
}

fn build(loaded: &Loaded) -> Result<Built> {
    let Loaded { config, warnings, .. } = loaded;
    sockets::raise_descriptor_limit();
    capture::guard_budget()?;
    let mut inherited = sockets::Inherited::take()?;
    let listeners = sockets::http(&mut inherited, &config.http)?;
    let (station, parts) = Station::build(
        &config.capture,
        config.live.clone(),
        &config.process,
        &paths::state_dir(),
        warnings.clone(),
    )?;
    station.apply_analysis(config.analysis.clone());
    let library = Arc::new(Library::new(config.library.clone()));
    let gate = Arc::new(gate(config, &listeners)?);
    station.set_gate(gate.clone());
    let http =
        http::Door::new(listeners, config.http.clone(), gate.clone(), station.clone(), library.clone())?;
    let (control_listener, control_socket) = sockets::control(inherited.control, &config.control.socket)?;
    let (orders_tx, orders) = mpsc::channel(ORDERS);
    let control =
        control::Door::new(control_listener, &config.control, station.clone(), gate.clone(), orders_tx);
    let workers = Crew::start()?;
    let admin = Builder::new_current_thread().enable_all().build();
    let admin = admin.context(|| "cannot start the admin runtime".to_owned())?;
    let pushes = config.push.clone();
    Ok(Built { station, parts, pushes, library, gate, http, control, control_socket, orders, workers, admin })
}

/// The gate, as the addresses that are really listened on ask for.
fn gate(config: &Config, listeners: &http::Listeners) -> Result<Gate> {
    let main = listeners.main_addresses()?;
    let metrics = http::addresses(&listeners.metrics)?;
    access::judge(config.access.mode, "http.listen", &main)?;
    access::judge(config.access.mode, "http.metrics_listen", &metrics)?;
    let is_behind_proxy = !config.http.trusted_proxies.is_empty();
    let guard = access::guard(config.access.mode, main.iter().chain(&metrics), is_behind_proxy);
    tracing::info!(event = "access_guarded", mode = guard.as_str(), "how callers are told apart");
    Gate::new(&config.access, guard, &paths::state_dir())
}

/// A running daemon.
struct Running {
    station: Arc<Station>,
    threads: station::Threads,
    /// Resolves when the last HTTP connection is done.
    http_done: tokio::task::JoinHandle<()>,
    /// Resolves when the last use of keys is written.
    gate_done: tokio::task::JoinHandle<()>,
    control_done: tokio::task::JoinHandle<()>,
    /// Dropped first: no new connections, and answers end.
    doors: StopOwner,
    /// Dropped next: capture ends, and with it the streams.
    pipeline: StopOwner,
    control_socket: sockets::ControlSocket,
    orders: mpsc::Receiver<control::Order>,
    workers: Crew,
    admin: Runtime,
}

impl Built {
    fn spawn(self) -> Result<Running> {
        let Self {
            station, parts, pushes, gate, http, control, control_socket, orders, workers, admin, ..
        } = self;
        let (doors, doors_stop): (StopOwner, Stop) = stop::pair()?;
        let (pipeline, pipeline_stop) = stop::pair()?;
        let urls = http.urls().to_vec();
        for url in &urls {
            tracing::info!(event = "http_listening", url, "listening on {url}");
        }
        for address in http.redirect_bound()? {
            tracing::info!(event = "redirect_listening", %address, "sending clients to TLS from {address}");
        }
        if let Some(address) = http.metrics_bound() {
            tracing::info!(event = "metrics_listening", %address, "serving metrics on {address}");
        }
        station.set_addresses(urls);
        let threads = parts.spawn(&station, &pipeline_stop)?;
        station.pushes().open(&pushes, pipeline_stop)?;
        let http_done = admin.spawn(http.open(workers.workers(), &doors_stop)?);
        let gate_done = admin.spawn(gate.run(doors_stop.clone()));
        let control_done = {
            let _admin = admin.enter();
            admin.spawn(control::open(control, doors_stop)?)
        };
        Ok(Running {
            station,
            threads,
            http_done,
            gate_done,
            control_done,
            doors,
            pipeline,
            control_socket,
            orders,
            workers,
            admin,
        })
    }
}

impl Running {
    /// Runs the admin side on this thread until a signal ends it.
    fn wait(&mut self, reloader: Reloader) -> Result<()> {
        self.admin.block_on(admin::run(&self.station, &mut self.orders, reloader))
    }
}

/// An error that says what was being done.
fn internal(doing: &str, error: std::io::Error) -> Error {
    Error::caused(Kind::Internal, doing.to_owned(), error)
}
