//! A device that hangs whoever reads it.

/// The definition of a PCM `stuck` that reads its samples from a named pipe, in blocking calls. While
/// nobody has the pipe open for writing, opening the PCM hangs; then reading does.
pub fn stuck_pcm(pipe: &str) -> String {
    format!(
        "pcm.stuck {{
    type file
    slave.pcm {{ type null }}
    file /dev/null
    infile \"{pipe}\"
    format raw
}}\n"
    )
}
