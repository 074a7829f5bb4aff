//! Closing in order, each step named and timed, all of it within a deadline.

use std::time::{Duration, Instant};

use super::{Running, notify};

/// All steps together. systemd and people lose patience later.
const DEADLINE: Duration = Duration::from_millis(4500);

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
        threads.join();
        station.join_renditions();
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
        let _ = admin.block_on(async { tokio::time::timeout(wait, control_done).await });
        drop(orders);
        control_socket.remove();
    });
    steps.step("runtimes", || {
        workers.shutdown_timeout(Duration::from_millis(200));
        admin.shutdown_timeout(Duration::from_millis(100));
    });
    tracing::info!(event = "stopped", took_ms = steps.began.elapsed().as_millis(), "stopped");
}
