//! Clients that decode what comes as soon as it comes, each to the first channel.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use crate::websocket::LiveSocket;
use crate::{connect, read_head};

/// Somebody who listens.
pub trait Ear: Send {
    /// Samples in a second.
    fn rate(&self) -> usize;
    /// The next packet, decoded.
    fn hear(&mut self) -> Vec<f32>;
}

/// Opus over WebSocket, decoded by libopus.
pub struct Opus {
    socket: LiveSocket,
    decoder: opus::Decoder,
}

impl Opus {
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).unwrap();
        Self { socket: LiveSocket::open(address, path), decoder }
    }
}

impl Ear for Opus {
    fn rate(&self) -> usize {
        48_000
    }

    fn hear(&mut self) -> Vec<f32> {
        let packet = self.socket.packet();
        let mut samples = [0.0; 2 * 5760];
        self.decoder.decode_float(&packet.sound, &mut samples, false).unwrap();
        let frames = samples.chunks(2).skip(packet.skip.into()).take(packet.frames.into());
        frames.map(|frame| frame[0]).collect()
    }
}

/// PCM over WebSocket.
pub struct Pcm(LiveSocket);

impl Pcm {
    pub fn open(address: SocketAddr) -> Self {
        Self(LiveSocket::open(address, "/api/audio/live?codec=pcm"))
    }
}

impl Ear for Pcm {
    fn rate(&self) -> usize {
        48_000
    }

    fn hear(&mut self) -> Vec<f32> {
        let packet = self.0.packet();
        let frames = packet.sound.as_chunks::<4>().0;
        frames.iter().map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect()
    }
}

/// MP3 as players get it, MPEG-1 with two channels, decoded by symphonia frame by frame.
pub struct Mp3 {
    reader: BufReader<TcpStream>,
    decoder: Box<dyn AudioDecoder>,
    rate: usize,
}

impl Mp3 {
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = connect(address);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(read_head(&mut reader).0, 200, "{path}");
        let (_, rate) = header(&reader.fill_buf().unwrap()[..4]);
        let mut params = AudioCodecParameters::new();
        params.for_codec(well_known::CODEC_ID_MP3).with_sample_rate(u32::try_from(rate).unwrap());
        let codecs = symphonia::default::get_codecs();
        let decoder = codecs.make_audio_decoder(&params, &AudioDecoderOptions::default()).unwrap();
        Self { reader, decoder, rate }
    }
}

/// Bytes of a frame and its sample rate, by its header (ISO/IEC 11172-3, 2.4.1.3).
fn header(head: &[u8]) -> (usize, usize) {
    const KBPS: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    assert_eq!((head[0], head[1] & 0xfe), (0xff, 0xfa), "MPEG-1 Layer III");
    let rate = [44_100, 48_000, 32_000][usize::from(head[2] >> 2 & 3)];
    let padding = usize::from(head[2] >> 1 & 1);
    (144_000 * KBPS[usize::from(head[2] >> 4)] / rate + padding, rate)
}

impl Ear for Mp3 {
    fn rate(&self) -> usize {
        self.rate
    }

    fn hear(&mut self) -> Vec<f32> {
        let mut frame = vec![0; 4];
        self.reader.read_exact(&mut frame).unwrap();
        let (bytes, _) = header(&frame);
        frame.resize(bytes, 0);
        self.reader.read_exact(&mut frame[4..]).unwrap();
        let packet = Packet::new(0, Timestamp::new(0), Duration::from(1152_u64), frame);
        let mut samples: Vec<f32> = Vec::new();
        self.decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut samples);
        samples.chunks(2).map(|frame| frame[0]).collect()
    }
}
