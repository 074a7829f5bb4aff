//! WAV files as a card's content, behind the feature `cli`.

use std::io;
use std::path::Path;

use hound::{SampleFormat, WavReader};

use crate::builder::Builder;

/// Lets the card play a WAV file (integer or float), at the file's rate and channel count.
pub fn play(builder: Builder, path: &Path) -> io::Result<Builder> {
    let said = |error: hound::Error| io::Error::other(format!("{}: {error}", path.display()));
    let mut reader = WavReader::open(path).map_err(said)?;
    let spec = reader.spec();
    let samples: Result<Vec<i32>, _> = match spec.sample_format {
        SampleFormat::Int => {
            let shift = 32 - u32::from(spec.bits_per_sample);
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample << shift)).collect()
        }
        // The cast saturates, which is what clipping is.
        SampleFormat::Float => reader
            .samples::<f32>()
            .map(|sample| sample.map(|sample| (f64::from(sample) * 2_147_483_648.0) as i32))
            .collect(),
    };
    let samples = samples.map_err(said)?;
    Ok(builder.rates(&[spec.sample_rate]).channels(&[u32::from(spec.channels)]).samples_s32(&samples))
}
