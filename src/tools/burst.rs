//! One line for each event as long as they are few; a storm becomes a sum once a second. Nothing stays
//! untold. Pure: time is told.

use super::clock::NS_PER_S;

/// Events in a second that get lines of their own.
const FEW: u32 = 10;

/// Events that had to wait for a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Their amounts together.
    pub amount: u64,
}

/// Decides which events get a line of their own.
#[derive(Debug, Default)]
pub struct Burst {
    second_began_ns: i64,
    in_second: u32,
    waiting: Sum,
}

impl Burst {
    /// Nothing has happened.
    pub const fn new() -> Self {
        Self { second_began_ns: 0, in_second: 0, waiting: Sum { count: 0, amount: 0 } }
    }

    /// Something of this amount happened. `true` asks for a line about it.
    pub fn happened(&mut self, amount: u64, now_ns: i64) -> bool {
        if now_ns - self.second_began_ns >= NS_PER_S {
            self.second_began_ns = now_ns;
            self.in_second = 0;
        }
        self.in_second += 1;
        if self.in_second <= FEW {
            return true;
        }
        self.waiting.count += 1;
        self.waiting.amount += amount;
        false
    }

    /// The sum that is due for a line now, if one is.
    pub fn due(&mut self, now_ns: i64) -> Option<Sum> {
        let is_due = self.waiting.count > 0 && now_ns - self.second_began_ns >= NS_PER_S;
        is_due.then(|| std::mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_is_told_and_a_second_has_few_lines(
            steps in prop::collection::vec((0_i64..300_000_000, 1_u64..1000), 1..400),
        ) {
            let mut lines = Burst::default();
            let (mut now_ns, mut frames_told, mut frames_all) = (NS_PER_S, 0, 0);
            let mut told_at = Vec::new();
            for (wait_ns, frames) in steps {
                now_ns += wait_ns;
                if let Some(sum) = lines.due(now_ns) {
                    frames_told += sum.amount;
                    told_at.push(now_ns);
                }
                frames_all += frames;
                if lines.happened(frames, now_ns) {
                    frames_told += frames;
                    told_at.push(now_ns);
                }
            }
            if let Some(sum) = lines.due(now_ns + NS_PER_S) {
                frames_told += sum.amount;
            }
            prop_assert_eq!(frames_told, frames_all);
            for window in told_at.windows(2 * FEW as usize + 4) {
                prop_assert!(window[window.len() - 1] - window[0] >= NS_PER_S, "at most two bursts and their sums");
            }
        }
    }
}
