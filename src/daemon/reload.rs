//! Reading the configuration again while running: what can change live does, the rest is told.

use std::path::PathBuf;
use std::sync::Arc;

use talas_wire::ReloadReport;

use super::notify;
use crate::access;
use crate::config::{self, Config, Environment};
use crate::error::Result;
use crate::http;
use crate::keys::Gate;
use crate::library::Library;
use crate::station::Station;
use crate::tools::journal;

/// Keys whose new value comes into force at once; every other one needs a restart.
const LIVE: [&str; 20] = [
    "access.anonymous",
    "access.roles",
    "access.jwt.key_file",
    "access.jwt.public_keys",
    "access.jwt.issuers",
    "access.jwt.audience",
    "access.jwt.leeway_s",
    "access.jwt.longest_days",
    "http.hosts",
    "http.cors.origins",
    "http.sse_heartbeat_s",
    "http.stale_after_s",
    "http.max_head_kb",
    "http.max_json_mb",
    "http.max_url_kb",
    "http.max_streams",
    "http.tls.hsts_max_age_s",
    "library.dirs",
    "log.level",
    "process.effects",
];

/// Tables all of whose keys are like that.
const LIVE_TABLES: [&str; 4] = ["access.limits.", "analysis.", "live.", "profile."];

/// Knows where the configuration came from and what is in force.
pub struct Reloader {
    file: Option<PathBuf>,
    environment: Environment,
    current: Config,
    parts: Handles,
}

/// What is told of new settings.
pub struct Handles {
    /// `[http]`.
    pub http: http::Handle,
    /// `[library]`.
    pub library: Arc<Library>,
    /// `[access]`.
    pub gate: Arc<Gate>,
    /// What runs.
    pub station: Arc<Station>,
}

impl Reloader {
    /// For a daemon that runs with `current`.
    pub fn new(file: Option<PathBuf>, environment: Environment, current: Config, parts: Handles) -> Self {
        Self { file, environment, current, parts }
    }

    /// Reads the configuration again and puts into force what can be. `status` is what systemd goes on
    /// showing afterwards, however it went: who asked gets the answer, and the journal has it.
    ///
    /// # Errors
    /// The configuration is wrong: nothing changed.
    pub fn reload(&mut self, status: &str) -> Result<ReloadReport> {
        notify::reloading();
        let result = self.apply();
        match &result {
            Ok(report) => {
                let (applied, needs_restart) = (report.applied.join(" "), report.needs_restart.join(" "));
                tracing::info!(event = "reloaded", applied, needs_restart, "configuration read again");
            }
            Err(error) => {
                tracing::error!(
                    event = "reload_failed",
                    reason = error.message(),
                    "configuration refused, nothing changed"
                );
            }
        }
        notify::ready(status);
        result
    }

    fn apply(&mut self) -> Result<ReloadReport> {
        let loaded = config::load(self.file.as_deref(), &self.environment)?;
        let mut report = ReloadReport::default();
        for difference in config::differences(&self.current, &loaded.config) {
            let is_live = LIVE.contains(&difference.key.as_str())
                || LIVE_TABLES.iter().any(|table| difference.key.starts_with(table));
            let list = if is_live { &mut report.applied } else { &mut report.needs_restart };
            list.push(difference.key);
        }
        let new = loaded.config;
        // First what may be refused: a sample rate that comes with a restart may be another than now, and a
        // key file may be missing.
        let other_effects = (new.process != self.current.process).then_some(&new.process.effects);
        if let Some(effects) = other_effects {
            self.parts.station.processing().check(effects)?;
        }
        let certificate = self.parts.http.read_certificate()?;
        self.parts.gate.apply(&new.access)?;
        self.parts.http.use_certificate(certificate);
        if let Some(effects) = other_effects {
            self.parts.station.processing().set_effects(effects.clone())?;
        }
        if new.live != self.current.live {
            self.parts.station.live().apply(new.live.clone());
        }
        self.parts.station.pushes().apply(&new.push)?;
        // What an operator set by hand stays until the file says something else.
        if new.log != self.current.log {
            journal::set_level(new.log.level);
        }
        self.parts.library.apply(new.library.clone());
        self.parts.station.apply_analysis(new.analysis.clone());
        // What needs a restart stays as it is, so that the next reload tells of it again.
        self.current.log = new.log;
        self.current.library = new.library;
        self.current.analysis = new.analysis;
        (self.current.live, self.current.push) = (new.live, new.push);
        let access::Settings { mode, jwt: access::Jwt { jwks_url, .. }, .. } = &self.current.access;
        let jwt = access::Jwt { jwks_url: jwks_url.clone(), ..new.access.jwt };
        self.current.access = access::Settings { mode: *mode, jwt, ..new.access };
        self.current.process = new.process;
        self.current.http = http_in_force(&self.current.http, new.http);
        self.parts.http.apply(self.current.http.clone());
        Ok(report)
    }
}

/// What of `[http]` can change while the door is open.
fn http_in_force(current: &http::Settings, new: http::Settings) -> http::Settings {
    let http::Settings { listen, metrics_listen, trusted_proxies, tls, cors, .. } = current.clone();
    let cors = http::settings::Cors { origins: new.cors.origins, ..cors };
    let tls = http::settings::Tls { hsts_max_age: new.tls.hsts_max_age, ..tls };
    http::Settings { listen, metrics_listen, trusted_proxies, tls, cors, ..new }
}
