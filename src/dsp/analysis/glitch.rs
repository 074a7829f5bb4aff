//! Clicks and dropouts: sound that is broken for milliseconds.
//!
//! Looked for in steps of a tenth of a slice, 1 ms. A *dropout* is a hole that sound falls into and comes
//! out of at once: nothing for 2 to 500 ms, with sound right before and right after. A *click* is a jump
//! far out of what the signal does around it: of the second difference of the samples, which slow sound
//! hardly has, a peak that stands out of the milliseconds before *and* after. The attack of an instrument
//! stands out of those before only.

use std::collections::VecDeque;

/// Steps in a slice.
const STEPS: usize = 10;
/// Below this, sound is a hole: −80 dBFS.
const NOTHING: f32 = 1e-4;
/// Right beside a hole, in this many steps, there is sound …
const EDGE: usize = 2;
/// … of at least this: −40 dBFS.
const SOUND: f32 = 0.01;
/// Steps of the longest hole; what is longer is silence.
const LONGEST: u32 = 500;
/// Steps of the shortest: one that is surely empty from end to end.
const SHORTEST: u32 = 1;
/// Steps before a click that it is held against, and after it.
const AROUND: usize = 8;
/// Steps right beside a click that may belong to it.
const RINGING: usize = 1;
/// So much higher than the mean power around it is the square of a click: 24 dB.
const STANDS_OUT: f32 = 256.0;

/// What a step of a channel was like.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// Largest magnitude.
    peak: f32,
    /// Largest second difference.
    jump: f32,
    /// Mean square of the second differences.
    roughness: f32,
}

/// What was found in one slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glitches {
    /// Clicks.
    pub clicks: u32,
    /// Dropouts that ended.
    pub dropouts: u32,
}

/// Listens to one channel.
#[derive(Debug)]
pub struct GlitchFinder {
    /// The smallest second difference that is a click.
    click_level: f32,
    /// The last two samples.
    last: [f32; 2],
    /// The newest steps, newest last; the one that is judged is in their middle.
    steps: VecDeque<Step>,
    /// Steps of the hole that is open, and whether sound fell into it.
    hole: Option<u32>,
    /// Steps since the last one at least as loud as an edge has to be.
    since_sound: usize,
}

/// Steps that are kept: those before, the one that is judged, and those after.
const KEPT: usize = 2 * (AROUND + RINGING) + 1;

impl GlitchFinder {
    /// Smaller clicks than this, in linear amplitude, are let be.
    pub fn new(click_level: f64) -> Self {
        let mut finder = Self {
            click_level: click_level as f32,
            last: [0.0; 2],
            steps: VecDeque::with_capacity(KEPT + 1),
            hole: None,
            since_sound: EDGE + 1,
        };
        finder.interrupt();
        finder
    }

    /// Takes the next slice. A click is found 9 ms late, a dropout at its end.
    pub fn push(&mut self, samples: &[f32]) -> Glitches {
        let mut found = Glitches::default();
        for samples in samples.chunks(samples.len().div_ceil(STEPS).max(1)) {
            let step = self.measure(samples);
            found.dropouts += u32::from(self.ends_dropout(step));
            self.steps.push_back(step);
            if self.steps.len() > KEPT {
                self.steps.pop_front();
                found.clicks += u32::from(self.is_click());
            }
        }
        found
    }

    /// What follows does not join what was before.
    pub fn interrupt(&mut self) {
        self.steps.clear();
        self.hole = None;
        self.since_sound = EDGE + 1;
        // The first difference after a hole is none of the signal's own.
        self.last = [f32::NAN; 2];
    }

    fn measure(&mut self, samples: &[f32]) -> Step {
        if self.last[0].is_nan() {
            self.last = [samples.first().copied().unwrap_or(0.0); 2];
        }
        let [mut before, mut last] = self.last;
        let (mut peak, mut jump, mut squares) = (0.0_f32, 0.0_f32, 0.0_f32);
        for &sample in samples {
            let difference = sample - 2.0 * last + before;
            let (magnitude, height) = (sample.abs(), difference.abs());
            peak = if magnitude > peak { magnitude } else { peak };
            jump = if height > jump { height } else { jump };
            squares += difference * difference;
            (before, last) = (last, sample);
        }
        self.last = [before, last];
        Step { peak, jump, roughness: squares / samples.len().max(1) as f32 }
    }

    fn ends_dropout(&mut self, step: Step) -> bool {
        if step.peak < NOTHING {
            let fell = self.since_sound < EDGE;
            self.hole = self.hole.map(|steps| steps.saturating_add(1)).or_else(|| fell.then_some(1));
            self.since_sound = self.since_sound.saturating_add(1);
            return false;
        }
        // The step in which sound comes back may begin inside the hole; the next one does not.
        let ended = if step.peak >= SOUND { self.hole.take() } else { None };
        self.since_sound = if step.peak >= SOUND { 0 } else { self.since_sound.saturating_add(1) };
        if self.since_sound >= EDGE {
            self.hole = None;
        }
        ended.is_some_and(|steps| (SHORTEST..=LONGEST).contains(&steps))
    }

    /// Whether the step in the middle has a click.
    fn is_click(&self) -> bool {
        let middle = AROUND + RINGING;
        let judged = self.steps[middle];
        let mean = |steps: std::ops::Range<usize>| {
            self.steps.range(steps).map(|step| step.roughness).sum::<f32>() / AROUND as f32
        };
        let around = mean(0..AROUND).max(mean(middle + RINGING + 1..KEPT));
        let is_highest = self.steps.iter().enumerate().all(|(at, step)| {
            // Of two steps as high, the first: a click is counted once.
            if at < middle { step.jump < judged.jump } else { step.jump <= judged.jump }
        });
        judged.jump >= self.click_level && is_highest && judged.jump * judged.jump > around * STANDS_OUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const RATE: usize = 48_000;

    fn hear(samples: &[f32]) -> Glitches {
        let mut finder = GlitchFinder::new(0.02);
        samples.chunks(480).map(|slice| finder.push(slice)).fold(Glitches::default(), |sum, found| Glitches {
            clicks: sum.clicks + found.clicks,
            dropouts: sum.dropouts + found.dropouts,
        })
    }

    fn sine(hz: f64, amplitude: f64) -> Vec<f32> {
        (0..RATE).map(|n| (amplitude * (TAU * hz * n as f64 / RATE as f64).sin()) as f32).collect()
    }

    fn noise(amplitude: f32) -> Vec<f32> {
        let mut state = 1_u32;
        (0..RATE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 * amplitude - amplitude
            })
            .collect()
    }

    #[test]
    fn holes_of_2_to_500_ms_are_dropouts_wherever_they_begin() {
        for length in [96, 480, 4800, 23_900] {
            for start in [10_000, 10_013, 10_477] {
                let mut samples = sine(440.0, 0.3);
                samples[start..start + length].fill(0.0);
                assert_eq!(hear(&samples).dropouts, 1, "{length} samples from {start}");
            }
        }
        let mut long = sine(440.0, 0.3);
        long[5000..5000 + 26_000].fill(0.0);
        assert_eq!(hear(&long).dropouts, 0, "a pause of half a second and more is silence");
    }

    #[test]
    fn what_fades_is_no_dropout() {
        let fade = |n: usize| {
            let distance = (n as f64 - 24_000.0).abs() - 4800.0;
            (distance / 1440.0).clamp(0.0, 1.0)
        };
        let samples: Vec<f32> =
            sine(440.0, 0.3).iter().enumerate().map(|(n, sample)| sample * fade(n) as f32).collect();
        assert_eq!(hear(&samples), Glitches::default());
        assert_eq!(hear(&vec![0.0; RATE]), Glitches::default());
    }

    #[test]
    fn a_jump_is_a_click_counted_once() {
        for at in [10_000, 10_007, 10_047] {
            let mut single = sine(440.0, 0.3);
            single[at] += 0.2;
            assert_eq!(hear(&single), Glitches { clicks: 1, dropouts: 0 }, "one wrong sample at {at}");
            let mut skipped = sine(440.0, 0.3);
            skipped.drain(at..at + 250);
            assert_eq!(hear(&skipped).clicks, 1, "lost samples at {at}");
            let mut in_noise = noise(0.01);
            in_noise[at] = 0.5;
            assert_eq!(hear(&in_noise).clicks, 1, "in noise at {at}");
        }
        let mut three = sine(300.0, 0.2);
        [9000, 20_000, 30_000].iter().for_each(|at| three[*at] -= 0.3);
        assert_eq!(hear(&three).clicks, 3);
    }

    #[test]
    fn tones_noise_squares_and_attacks_are_no_clicks() {
        assert_eq!(hear(&sine(440.0, 0.9)), Glitches::default());
        assert_eq!(hear(&sine(15_000.0, 0.9)), Glitches::default());
        assert_eq!(hear(&noise(0.9)), Glitches::default());
        let square: Vec<f32> = sine(500.0, 0.5).iter().map(|sample| 0.5_f32.copysign(*sample)).collect();
        assert_eq!(hear(&square), Glitches::default(), "each edge is like the one before");
        let attack: Vec<f32> = noise(0.8)
            .iter()
            .enumerate()
            .map(
                |(n, sample)| if n < 20_000 { 0.0 } else { sample * (-((n - 20_000) as f32) / 4800.0).exp() },
            )
            .collect();
        assert_eq!(hear(&attack), Glitches::default(), "a drum");
    }

    #[test]
    fn a_hole_in_the_programme_is_not_the_sounds_own() {
        let mut finder = GlitchFinder::new(0.02);
        let samples = sine(440.0, 0.3);
        let mut found = 0;
        for slice in samples.chunks(480) {
            let glitches = finder.push(&slice[..300]);
            finder.interrupt();
            found += glitches.clicks + glitches.dropouts;
        }
        assert_eq!(found, 0);
    }
}
