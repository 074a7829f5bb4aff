//! The effects as people write them: kinds, parameters, units, ranges and defaults, in one table that
//! the configuration, the control socket and the documentation go by. What they do to sound is in
//! `dsp::effects`; how they follow each other is in `dsp::chain`.

use serde::{Deserialize, Serialize};

/// A parameter of an effect.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Its name, which ends in its unit if it has one.
    pub name: &'static str,
    /// Smallest value allowed.
    pub least: f64,
    /// Largest value allowed.
    pub most: f64,
    /// What it is left at.
    pub default: f64,
    /// What it does.
    pub meaning: &'static str,
}

impl Parameter {
    /// Whether a value is in its range.
    pub fn allows(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// What is right, as it stands after "expected".
    pub fn expects(&self) -> String {
        format!("a number from {} to {}", self.least, self.most)
    }
}

/// Settings of an effect: a structure, its defaults, and its parameters.
macro_rules! settings {
    ($(#[$about:meta])* $name:ident { $(#[doc = $meaning:literal] $field:ident: $least:literal, $most:literal, $default:literal;)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(#[doc = $meaning] pub $field: f64,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            const PARAMETERS: &'static [Parameter] = &[$(Parameter {
                name: stringify!($field),
                least: $least,
                most: $most,
                default: $default,
                meaning: $meaning.trim_ascii_start(),
            },)+];

            fn values(&mut self) -> Vec<&mut f64> {
                vec![$(&mut self.$field,)+]
            }
        }
    };
}

settings! {
    /// Louder or softer.
    Gain {
        /// Gain in dB.
        gain_db: -80.0, 40.0, 0.0;
    }
}

settings! {
    /// Lets pass what is higher than a frequency, 12 dB an octave.
    HighPass {
        /// Where the response is 3 dB down (at the default q), in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 80.0;
        /// Height of the response there: 0.707 is flat up to it, more makes a hump.
        q: 0.1, 20.0, 0.707;
    }
}

settings! {
    /// Lets pass what is lower than a frequency, 12 dB an octave.
    LowPass {
        /// Where the response is 3 dB down (at the default q), in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 15_000.0;
        /// Height of the response there: 0.707 is flat up to it, more makes a hump.
        q: 0.1, 20.0, 0.707;
    }
}

settings! {
    /// Takes one frequency out.
    Notch {
        /// The frequency, in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 50.0;
        /// The frequency divided by the width, at 3 dB down, of what goes with it.
        q: 0.1, 100.0, 10.0;
    }
}

settings! {
    /// Lifts or lowers what is around a frequency.
    Peaking {
        /// The frequency, in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 1_000.0;
        /// Gain at the frequency, in dB.
        gain_db: -40.0, 40.0, 0.0;
        /// The frequency divided by the width, at half the gain in dB.
        q: 0.1, 20.0, 1.0;
    }
}

settings! {
    /// Lifts or lowers what is below a frequency.
    LowShelf {
        /// Middle of the slope, in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 100.0;
        /// Gain below it, in dB.
        gain_db: -40.0, 40.0, 0.0;
        /// Steepness: 0.707 is the steepest without a hump.
        q: 0.1, 20.0, 0.707;
    }
}

settings! {
    /// Lifts or lowers what is above a frequency.
    HighShelf {
        /// Middle of the slope, in Hz; less than half the sample rate.
        frequency_hz: 10.0, 96_000.0, 8_000.0;
        /// Gain above it, in dB.
        gain_db: -40.0, 40.0, 0.0;
        /// Steepness: 0.707 is the steepest without a hump.
        q: 0.1, 20.0, 0.707;
    }
}

settings! {
    /// Less dynamic: what is louder than a threshold grows by a fraction of what it did.
    Compressor {
        /// Peak level above which it works, in dB of full scale.
        threshold_db: -80.0, 0.0, -20.0;
        /// For so many dB more at the input, 1 dB more at the output.
        ratio: 1.0, 100.0, 4.0;
        /// Width of the bend around the threshold, in dB; 0 is a corner.
        knee_db: 0.0, 24.0, 6.0;
        /// Time to 63 % of a reduction, in ms.
        attack_ms: 0.1, 500.0, 5.0;
        /// Time to 63 % of the way back, in ms.
        release_ms: 5.0, 5_000.0, 100.0;
        /// Gain of everything afterwards, in dB.
        makeup_db: -20.0, 40.0, 0.0;
    }
}

settings! {
    /// Never louder than a ceiling, between the samples too. It looks ahead: sound comes so much later.
    Limiter {
        /// Ceiling of the true peak, in dB of full scale.
        ceiling_dbtp: -40.0, 0.0, -1.0;
        /// How far it looks ahead, in ms.
        lookahead_ms: 2.0, 20.0, 5.0;
        /// Time to 63 % of the way back, in ms.
        release_ms: 5.0, 5_000.0, 50.0;
    }
}

settings! {
    /// As loud as asked, by the measure of EBU R 128; pauses do not count.
    Loudness {
        /// Loudness to reach, in LUFS.
        target_lufs: -40.0, -5.0, -16.0;
        /// How much sound is measured at a time, in ms: shorter follows faster.
        window_ms: 400.0, 30_000.0, 1_000.0;
        /// Most that it makes louder, in dB.
        max_gain_db: 0.0, 40.0, 20.0;
    }
}

settings! {
    /// A room.
    Reverb {
        /// Size of the room: its echo falls by 60 dB in 0.25 s (0) to 8 s (1).
        room_size: 0.0, 1.0, 0.5;
        /// How much faster high frequencies fade than low ones.
        damping: 0.0, 1.0, 0.5;
        /// Part of the room's sound.
        wet: 0.0, 1.0, 0.25;
        /// Part of the sound itself.
        dry: 0.0, 1.0, 0.75;
    }
}

/// The kinds of effects: the enum, and what is done for each kind alike.
macro_rules! kinds {
    ($($name:ident = $word:literal;)+) => {
        /// An effect and its settings.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum Effect {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)+
        }

        impl Effect {
            /// One of each kind, at its defaults.
            pub fn kinds() -> Vec<Self> {
                vec![$(Self::$name($name::default()),)+]
            }

            /// The word for its kind.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $word,)+
                }
            }

            fn table(&mut self) -> (&'static [Parameter], Vec<&mut f64>) {
                match self {
                    $(Self::$name(settings) => ($name::PARAMETERS, settings.values()),)+
                }
            }
        }
    };
}

kinds! {
    Gain = "gain";
    HighPass = "high_pass";
    LowPass = "low_pass";
    Notch = "notch";
    Peaking = "peaking";
    LowShelf = "low_shelf";
    HighShelf = "high_shelf";
    Compressor = "compressor";
    Limiter = "limiter";
    Loudness = "loudness";
    Reverb = "reverb";
}

impl Effect {
    /// An effect of this kind, at its defaults.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::kinds().into_iter().find(|effect| effect.kind() == kind)
    }

    /// Its parameters and their values.
    pub fn parameters(&self) -> Vec<(&'static Parameter, f64)> {
        let mut copy = *self;
        let (parameters, values) = copy.table();
        parameters.iter().zip(values).map(|(parameter, value)| (parameter, *value)).collect()
    }

    /// Sets a parameter, to whatever value; false if there is none of that name.
    pub fn set(&mut self, name: &str, to: f64) -> bool {
        let (parameters, values) = self.table();
        let place = parameters.iter().zip(values).find(|(parameter, _)| parameter.name == name);
        place.map(|(_, value)| *value = to).is_some()
    }

    /// The frequency of a band of the equaliser.
    pub fn frequency_hz(&self) -> Option<f64> {
        let frequency = self.parameters().into_iter().find(|(parameter, _)| parameter.name == "frequency_hz");
        frequency.map(|(_, value)| value)
    }

    /// What is wrong with its settings at a sample rate, a sentence each that says what would be right.
    pub fn check(&self, sample_rate: u32) -> Vec<String> {
        let kind = self.kind();
        let wrong = self.parameters().into_iter().filter(|(parameter, value)| !parameter.allows(*value));
        let mut sentences: Vec<String> = wrong
            .map(|(parameter, value)| {
                format!("{kind}: {} is {value}: expected {}", parameter.name, parameter.expects())
            })
            .collect();
        let half = f64::from(sample_rate) / 2.0;
        if let Some(frequency) = self.frequency_hz().filter(|frequency| *frequency >= half) {
            sentences.push(format!(
                "{kind}: frequency_hz is {frequency}: expected less than {half}, half of {sample_rate} Hz"
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word_and_defaults_are_right() {
        for effect in Effect::kinds() {
            assert_eq!(Effect::of_kind(effect.kind()), Some(effect));
            assert_eq!(effect.check(48_000), [""; 0], "{effect:?}");
            for (parameter, value) in effect.parameters() {
                assert_eq!(value.to_bits(), parameter.default.to_bits(), "{}", parameter.name);
            }
        }
        assert_eq!(Effect::of_kind("flanger"), None);
    }

    #[test]
    fn what_is_written_for_the_socket_reads_back() {
        for effect in Effect::kinds() {
            let json = serde_json::to_string(&effect).expect("JSON");
            assert!(json.contains(&format!(r#""type":"{}""#, effect.kind())), "{json}");
            assert_eq!(serde_json::from_str::<Effect>(&json).expect("an effect"), effect);
        }
        let some: Effect = serde_json::from_str(r#"{"type":"compressor","ratio":2}"#).expect("defaults");
        assert_eq!(some, Effect::Compressor(Compressor { ratio: 2.0, ..Compressor::default() }));
        let wrong = serde_json::from_str::<Effect>(r#"{"type":"gain","gain":2}"#).expect_err("unknown");
        assert!(wrong.to_string().contains("gain_db"), "{wrong}");
    }

    #[test]
    fn what_is_out_of_range_is_said_with_what_would_be_right() {
        let mut effect = Effect::Compressor(Compressor::default());
        assert!(effect.set("ratio", 0.5) && effect.set("knee_db", f64::NAN) && !effect.set("loud", 1.0));
        assert_eq!(
            effect.check(48_000),
            [
                "compressor: ratio is 0.5: expected a number from 1 to 100",
                "compressor: knee_db is NaN: expected a number from 0 to 24"
            ]
        );
        let high = Effect::Notch(Notch { frequency_hz: 24_000.0, ..Notch::default() });
        assert_eq!(
            high.check(48_000),
            ["notch: frequency_hz is 24000: expected less than 24000, half of 48000 Hz"]
        );
        assert_eq!(high.check(96_000), [""; 0]);
    }
}
