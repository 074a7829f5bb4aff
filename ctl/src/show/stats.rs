//! Statistics of the live frames and of the daemon.

use talas_wire::DetailedStreamStats;

use super::View;
use crate::human::{bytes, count, counted, duration, trimmed};
use crate::text::{Ink, Page, Piece, Row, plain, rows};

/// The whole page; connections are another command's.
pub fn page(stats: &DetailedStreamStats, view: &View) -> Page {
    let memory = &stats.memory_usage;
    let latency = match stats.active_subscribers {
        0 => plain("nobody to measure it at"),
        _ => plain(format!("{} ms from capture to socket", trimmed(stats.average_latency_ms, 1))),
    };
    let all = vec![
        Row::new(
            "frames",
            vec![
                plain(count(stats.total_frames)),
                plain(format!("{} per second", trimmed(stats.frames_per_second, 1))),
            ],
        ),
        Row::new("listeners", vec![plain(counted(stats.active_subscribers, "listener"))]),
        Row::new("missed", missed(stats)),
        Row::new("latency", vec![latency]),
        Row::new("bandwidth", vec![plain(format!("{} Mbit/s", trimmed(stats.bandwidth_usage_mbps, 2)))]),
        Row::new("processor", vec![plain(format!("{} % of one core", trimmed(stats.cpu_usage, 1)))]),
        Row::new(
            "memory",
            vec![
                plain(format!("{} used", bytes(memory.used_bytes))),
                plain(format!("{} virtual", bytes(memory.virtual_bytes))),
                plain(format!("{} available on this machine", bytes(memory.available_bytes))),
            ],
        ),
        Row::new("uptime", vec![plain(duration(stats.uptime_seconds))]),
    ];
    rows(all, view.columns)
}

fn missed(stats: &DetailedStreamStats) -> Vec<Piece> {
    match stats.dropped_frames {
        0 => vec![Piece::new(Ink::Good, "nothing")],
        dropped => vec![
            Piece::new(Ink::Warn, format!("{} by slow listeners", counted(dropped, "frame"))),
            plain(format!("{} % of what was due", trimmed(stats.error_rate_percent, 3))),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use talas_wire::MemoryUsage;

    #[test]
    fn the_page_is_whole() {
        let mut stats = DetailedStreamStats {
            total_frames: 374_062,
            frames_per_second: 46.875,
            active_subscribers: 2,
            dropped_frames: 12,
            connection_count: 2,
            connections: Vec::new(),
            memory_usage: MemoryUsage {
                used_bytes: 24_100_000,
                virtual_bytes: 412_000_000,
                available_bytes: 3_100_000_000,
            },
            cpu_usage: 3.21,
            uptime_seconds: 8040,
            average_latency_ms: 24.6,
            bandwidth_usage_mbps: 18.432,
            error_rate_percent: 0.0016,
        };
        let text = |stats: &DetailedStreamStats| -> String {
            let page = page(stats, &View { now_ms: 0, columns: None });
            page.iter().map(|line| line.paint(false, None) + "\n").collect()
        };
        let expected = "  frames     374,062 · 46.9 per second
  listeners  2 listeners
  missed     12 frames by slow listeners · 0.002 % of what was due
  latency    24.6 ms from capture to socket
  bandwidth  18.43 Mbit/s
  processor  3.2 % of one core
  memory     24.1 MB used · 412.0 MB virtual · 3.1 GB available on this machine
  uptime     2 h 14 min
";
        assert_eq!(text(&stats), expected);
        stats.active_subscribers = 0;
        stats.dropped_frames = 0;
        assert!(text(&stats).contains("missed     nothing\n  latency    nobody to measure it at\n"));
    }
}
