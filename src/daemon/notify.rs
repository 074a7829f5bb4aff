//! What systemd is told: ready, status, reloading, stopping, alive. Without systemd all of it is nothing.

use std::time::Duration;

use sd_notify::NotifyState;

fn tell(states: &[NotifyState<'_>]) {
    // Without NOTIFY_SOCKET this does nothing; with a broken one nobody can be told.
    let _ = sd_notify::notify(states);
}

/// Serving, with a line for `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Reading the configuration again. One datagram: systemd 253 and later needs both to belong together.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Closing.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Every loop turns.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Ending by an error.
pub fn failed(reason: &str) {
    tell(&[NotifyState::Status(reason)]);
}

/// How long systemd waits for a sign of life, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
