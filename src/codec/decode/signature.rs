//! What a file is, by its first bytes: never by its name, which says what somebody called it.
//!
//! Only known signatures count. A search for something that looks like a frame finds it in any file that
//! is large enough.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// RIFF.
    Wav,
    /// AIFF and AIFF-C.
    Aiff,
    /// FLAC's own container.
    Flac,
    /// Ogg, with anything in it.
    Ogg,
    /// MP4 and its kin.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// MPEG audio, layers I to III, from that byte on.
    Mpeg(u64),
    /// AAC in ADTS, from that byte on.
    Adts(u64),
    /// Known, and nothing that this process decodes: its name.
    Foreign(&'static str),
    /// It ends before it could be anything.
    Nothing,
    /// None of these.
    Unknown,
}

/// What only `ffmpeg` decodes, by its signature.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "Windows Media"),
    (b"MAC ", "Monkey's Audio"),
    (b"wvpk", "WavPack"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"TTA1", "True Audio"),
    (b"tBaK", "TAK"),
    (b"DSD ", "DSF"),
    (b"FRM8", "DSDIFF"),
    (b"caff", "Core Audio"),
    (b"#!AMR", "AMR"),
    (b".snd", "Sun audio"),
    (b".RMF", "RealMedia"),
    (b"\x0B\x77", "AC-3"),
    (b"\x7F\xFE\x80\x01", "DTS"),
    (b"RF64", "RF64"),
    (b"riff\x2E\x91\xCF\x11", "Wave64"),
];

/// Bytes looked at.
const LENGTH: usize = 12;

/// Tags in front of the sound: more than a few are no music file.
const MOST_TAGS: usize = 8;

/// What the file is. Where it is read on from does not matter, and is undefined after.
///
/// # Errors
/// Those of reading it.
pub fn of(mut file: &File) -> io::Result<Signature> {
    let mut start = 0;
    for _ in 0..MOST_TAGS {
        file.seek(SeekFrom::Start(start))?;
        let mut first = Vec::with_capacity(LENGTH);
        file.take(LENGTH as u64).read_to_end(&mut first)?;
        match id3_length(&first) {
            Some(length) => start += length,
            None => return Ok(at(&first, start)),
        }
    }
    Ok(Signature::Unknown)
}

/// Length of the ID3v2 tag that begins here, header included (id3.org, "ID3 tag version 2.4.0", 3.1).
fn id3_length(first: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *first else { return None };
    let size = [a, b, c, d].iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7F));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

fn at(first: &[u8], start: u64) -> Signature {
    if first.len() < 4 {
        return Signature::Nothing;
    }
    if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Signature::Foreign(name);
    }
    match first {
        [b'R', b'I', b'F', b'F', ..] => Signature::Wav,
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => Signature::Aiff,
        [b'f', b'L', b'a', b'C', ..] => Signature::Flac,
        [b'O', b'g', b'g', b'S', ..] => Signature::Ogg,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Signature::Mp4,
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Signature::Matroska,
        // Eleven bits of synchronisation, two of version; a layer of 0 is ADTS.
        [0xFF, 0xF0 | 0xF1 | 0xF8 | 0xF9, ..] => Signature::Adts(start),
        [0xFF, second, third, ..] if is_mpeg(*second, *third) => Signature::Mpeg(start),
        _ => Signature::Unknown,
    }
}

/// Whether these two bytes behind the first can be an MPEG audio header's: version, layer, bit rate and
/// sample rate are none of the forbidden ones.
fn is_mpeg(second: u8, third: u8) -> bool {
    second >= 0xE0 && second & 0x18 != 0x08 && second & 0x06 != 0 && third >> 4 != 15 && third & 0x0C != 0x0C
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn signature(bytes: &[u8]) -> Signature {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        of(&file).expect("readable")
    }

    #[test]
    fn the_first_bytes_say_what_it_is() {
        for (bytes, expected) in [
            (&b"RIFF\x24\0\0\0WAVEfmt "[..], Signature::Wav),
            (b"FORM\0\0\0\0AIFCFVER", Signature::Aiff),
            (b"FORM\0\0\0\0ILBMBMHD", Signature::Unknown),
            (b"fLaC\0\0\0\x22", Signature::Flac),
            (b"OggS\0\x02\0\0", Signature::Ogg),
            (b"\0\0\0\x20ftypM4A ", Signature::Mp4),
            (b"\x1A\x45\xDF\xA3\x01\0\0\0", Signature::Matroska),
            (b"\xFF\xFB\x90\x64\0\0", Signature::Mpeg(0)),
            (b"\xFF\xF1\x50\x80\0\0", Signature::Adts(0)),
            (b"\xFF\xFF\xFF\xFF\0\0", Signature::Unknown),
            (b"\xFF\xFE<\0h\0t\0m\0", Signature::Unknown),
            (b"MAC \x96\x0F\0\0", Signature::Foreign("Monkey's Audio")),
            (b"#EXTM3U\nhttp://", Signature::Unknown),
            (b"abc", Signature::Nothing),
            (b"", Signature::Nothing),
        ] {
            assert_eq!(signature(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn tags_are_looked_behind() {
        let tag = |length: usize| {
            let size = [0, 0, (length >> 7) as u8, (length & 0x7F) as u8];
            [&b"ID3\x04\0\0"[..], &size, &vec![0; length]].concat()
        };
        let mp3 = b"\xFF\xFB\x90\x64\0\0\0\0";
        assert_eq!(signature(&[&tag(300)[..], mp3].concat()), Signature::Mpeg(310));
        assert_eq!(signature(&[&tag(5)[..], &tag(7), mp3].concat()), Signature::Mpeg(32));
        assert_eq!(signature(&tag(300)), Signature::Nothing);
        assert_eq!(signature(&b"ID3\x04\0\0\x7F\x7F\x7F\x7F"[..]), Signature::Nothing);
        assert_eq!(signature(&tag(0).repeat(20)), Signature::Unknown);
    }
}
