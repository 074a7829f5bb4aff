//! The largest of the last values.

use std::collections::VecDeque;

/// The maximum over a window that moves along, at the same small cost however long the window is: of the
/// values that could still become the largest, in falling order (D. Lemire, "Streaming maximum-minimum
/// filter using no more than three comparisons per element", 2006).
#[derive(Debug, Clone)]
pub struct SlidingMax {
    window: u64,
    now: u64,
    candidates: VecDeque<(u64, f32)>,
}

impl SlidingMax {
    /// Over so many values, at least one.
    pub fn new(window: usize) -> Self {
        Self { window: window.max(1) as u64, now: 0, candidates: VecDeque::with_capacity(window.max(1) + 1) }
    }

    /// Takes the next value and returns the largest of the window that ends with it.
    pub fn push(&mut self, value: f32) -> f32 {
        while self.candidates.back().is_some_and(|(_, other)| *other <= value) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.now, value));
        if self.candidates.front().is_some_and(|(at, _)| at + self.window <= self.now) {
            self.candidates.pop_front();
        }
        self.now += 1;
        self.candidates.front().map_or(value, |(_, largest)| *largest)
    }

    /// Forgets all values.
    pub fn reset(&mut self) {
        self.candidates.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_largest_of_the_window(
            values in prop::collection::vec(-100_i8..100, 1..200),
            window in 1_usize..40,
        ) {
            let mut sliding = SlidingMax::new(window);
            let capacity = sliding.candidates.capacity();
            for end in 1..=values.len() {
                let largest = values[end.saturating_sub(window)..end].iter().max().copied().unwrap_or(0);
                prop_assert_eq!(sliding.push(f32::from(values[end - 1])), f32::from(largest));
            }
            prop_assert_eq!(sliding.candidates.capacity(), capacity, "it does not grow");
        }
    }
}
