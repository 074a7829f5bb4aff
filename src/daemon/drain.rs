//! Closing in order, each step named and timed, all of it within a deadline.

use std::time::{Duration, Instant};

use super::{Running, notify};

/// All steps together. systemd and people lose patience later.
const DEADLINE: Duration = Duration::from_millis(4500);
/// The threads of the sound. In order they end within a period; one that hangs in a driver never does.
const THREADS_DEADLINE: Duration = Duration::from_secs(2);

struct Steps {
    began: Instant,
}

impl Steps {
    fn left(&self) -> Duration {
        DEADLINE.saturating_sub(self.began.elapsed())
    }

    fn step<T>(&self, name: &'static str, act: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = act();
        tracing::debug!(
            event = "drain",
            step = name,
            took_ms = began.elapsed().as_secs_f64() * 1e3,
            "closed"
        );
        result
    }
}

/// Closes everything, top down: the doors, the sound, the answers under way, the control socket.
pub fn drain(running: Running) {
    let Running {
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
    } = running;
    let steps = Steps { began: Instant::now() };
    notify::stopping();
    tracing::info!(event = "stopping", listeners = station.listener_count(), "stopping");
    steps.step("doors", || drop(doors));
    steps.step("pipeline", || {
        drop(pipeline);
        let sound = station.clone();
        let joined = admin.spawn_blocking(move || {
            threads.join();
            sound.join_renditions();
        });
        // On the runtime, so that a second signal is heard meanwhile.
        if admin.block_on(async { tokio::time::timeout(THREADS_DEADLINE, joined).await }).is_err() {
            tracing::warn!(event = "drain_cut", "a thread that hangs is left behind");
        }
        station.remember_end();
    });
    steps.step("http", || {
        let wait = steps.left();
        if admin.block_on(async { tokio::time::timeout(wait, http_done).await }).is_err() {
            tracing::warn!(event = "drain_cut", "connections that take nothing are cut");
        }
    });
    steps.step("control", || {
        let wait = steps.left().max(Duration::from_millis(100));
        // Past the deadline what is left is cut with the runtime.
        let both = async { tokio::join!(control_done, gate_done) };
        let _ = admin.block_on(async { tokio::time::timeout(wait, both).await });
        drop(orders);
        drop(control_socket);
    });
    steps.step("runtimes", || {
        workers.shut_down(Duration::from_millis(200));
        admin.shutdown_timeout(Duration::from_millis(100));
    });
    tracing::info!(event = "stopped", took_ms = steps.began.elapsed().as_millis(), "stopped");
}
