//! WAV files, made byte by byte, also by the daemon's own tests.

/// A whole file of this data. `tag` 1 means integers, 3 means floats.
pub fn wav_file(tag: u16, sample_rate: u32, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).expect("small");
    let frame = channels * (bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(sample_rate.to_le_bytes());
    file.extend((sample_rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    file
}
