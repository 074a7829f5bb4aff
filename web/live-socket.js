// The client of low-latency sound: packets of Opus or PCM over WebSocket, as docs/websocket.md has them.
//
//   import { LiveSocket } from '/live-socket.js';
//   const socket = new LiveSocket('', token);
//   socket.onSound = ({ a, b, rate, capturedMs }) => play(a, b, rate);
//   socket.connect();
//
// Opus is decoded by WebCodecs, which browsers give to secure pages only; elsewhere PCM comes.

/**
 * @typedef {object} Packet a binary message
 * @property {'opus'|'s16'|'f32'} content what the sound is
 * @property {boolean} isStart the sound does not go on from the packet before
 * @property {number} channels
 * @property {number} frames frames of the sound, after those to skip
 * @property {number} skip frames to skip at the beginning of what is decoded
 * @property {number} sequence
 * @property {number} position number of the first frame since the source began
 * @property {number} capturedMs when that was captured, ms since the epoch by the daemon's clock
 * @property {Uint8Array} sound
 *
 * @typedef {object} Sound decoded sound
 * @property {Float32Array} a
 * @property {Float32Array} b the same as `a` where there is one channel
 * @property {number} rate frames per second
 * @property {number} capturedMs when the first was captured, ms since the epoch by the daemon's clock
 */

export const HEADER_BYTES = 32;
const CONTENTS = [undefined, 'opus', 's16', 'f32'];
const FLAG_START = 1;

/** Questions for the daemon's clock after connecting, and how often afterwards. */
const CLOCK_QUESTIONS = 8;
const CLOCK_SOON_MS = 100;
const CLOCK_EVERY_MS = 20_000;
/** Answers of which the quickest is believed. */
const CLOCK_ANSWERS = 16;

/**
 * @param {ArrayBuffer} message
 * @returns {Packet}
 */
export function readPacket(message) {
  const view = new DataView(message);
  if (message.byteLength < HEADER_BYTES || view.getUint8(0) !== 1) {
    throw new TypeError('this is no packet of version 1');
  }
  const content = CONTENTS[view.getUint8(1)];
  if (!content) throw new TypeError(`unknown content ${view.getUint8(1)}`);
  return {
    content,
    isStart: (view.getUint8(2) & FLAG_START) !== 0,
    channels: view.getUint8(3),
    frames: view.getUint16(4, true),
    skip: view.getUint16(6, true),
    sequence: Number(view.getBigUint64(8, true)),
    position: Number(view.getBigUint64(16, true)),
    capturedMs: Number(view.getBigUint64(24, true)) / 1000,
    sound: new Uint8Array(message, HEADER_BYTES),
  };
}

/**
 * The first two channels of a packet of PCM; of one channel, that twice.
 * @param {Packet} packet
 * @returns {[Float32Array, Float32Array]}
 */
export function readPcm({ content, channels, frames, skip, sound }) {
  const view = new DataView(sound.buffer, sound.byteOffset, sound.byteLength);
  const width = content === 's16' ? 2 : 4;
  const read = width === 2 ? (at) => view.getInt16(at, true) / 32_768 : (at) => view.getFloat32(at, true);
  const pick = (channel) => {
    const at = (n) => ((n + skip) * channels + Math.min(channel, channels - 1)) * width;
    return Float32Array.from({ length: frames }, (_, n) => read(at(n)));
  };
  return [pick(0), pick(1)];
}

/** By how much the daemon's clock is ahead of this machine's, ms: the answer that came quickest tells best. */
export class ClockOffset {
  /** @type {{offsetMs: number, tripMs: number}[]} */
  #answers = [];

  /** @type {?number} null before the first answer */
  offsetMs = null;

  /** @param {number} daemonMs by its clock @param {number} nowMs by ours @param {number} tripMs there and back */
  take(daemonMs, nowMs, tripMs) {
    this.#answers.push({ offsetMs: daemonMs + tripMs / 2 - nowMs, tripMs });
    if (this.#answers.length > CLOCK_ANSWERS) this.#answers.shift();
    this.offsetMs = this.#answers.reduce((best, one) => (one.tripMs < best.tripMs ? one : best)).offsetMs;
  }
}

/** Packets of Opus to sound, by the browser. */
class OpusDecoder {
  #decoder;
  /** Packets on their way, oldest first: sound comes out in the same order. @type {Packet[]} */
  #waiting = [];

  static config(sampleRate, numberOfChannels) {
    return { codec: 'opus', sampleRate, numberOfChannels };
  }

  constructor(about, onSound, onError) {
    this.#decoder = new AudioDecoder({
      output: (data) => {
        const sound = this.#read(data, this.#waiting.shift());
        data.close();
        if (sound) onSound(sound);
      },
      error: onError,
    });
    this.#decoder.configure(OpusDecoder.config(about.sample_rate, about.channels));
  }

  #read(data, packet) {
    if (!packet || packet.frames === 0) return null;
    const plane = (planeIndex) => {
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex, format: 'f32-planar' });
      return samples.slice(packet.skip, packet.skip + packet.frames);
    };
    const a = plane(0);
    const b = data.numberOfChannels > 1 ? plane(1) : a.slice();
    return { a, b, rate: data.sampleRate, capturedMs: packet.capturedMs };
  }

  /** @param {Packet} packet */
  decode(packet) {
    this.#waiting.push(packet);
    // Each packet can be decoded by itself; the time is only to be different.
    this.#decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: packet.sequence, data: packet.sound }));
  }

  close() {
    if (this.#decoder.state !== 'closed') this.#decoder.close();
  }
}

/** What this browser can decode here. @returns {Promise<'opus'|'pcm'>} */
export async function bestCodec() {
  if (!globalThis.AudioDecoder) return 'pcm';
  const { supported } = await AudioDecoder.isConfigSupported(OpusDecoder.config(48_000, 2)).catch(() => ({}));
  return supported ? 'opus' : 'pcm';
}

/** One stream of low-latency sound. It is opened once; whoever wants another makes another. */
export class LiveSocket {
  /** @type {?WebSocket} */
  #socket = null;
  #decoder = null;
  #clock = new ClockOffset();
  #clockTimer;
  #asked = 0;
  #isClosed = false;

  /** What the first message said. @type {?object} */
  about = null;
  /** @type {?(sound: Sound) => void} */
  onSound = null;
  /** @type {?(gap: {position: number, lost_samples: number, reason: string, timestamp: number}) => void} */
  onGap = null;
  /** @type {?(state: {state: string, reason: ?string, since: number}) => void} */
  onState = null;
  /** Sound will follow. @type {?(about: object) => void} */
  onConnect = null;
  /** It is over, or never came to be; not called after `disconnect`. @type {?(error: Error) => void} */
  onDisconnect = null;

  /**
   * @param {string} baseUrl where the daemon is, without the path; '' is the page's own origin
   * @param {?string} authToken goes into the address, where alone browsers can put it
   * @param {{codec?: 'opus'|'pcm', bitrate?: number, frameMs?: number}} options
   */
  constructor(baseUrl = '', authToken = null, options = {}) {
    const url = new URL(`${baseUrl.replace(/\/+$/, '')}/api/audio/live`, globalThis.location?.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const query = { codec: options.codec, bitrate: options.bitrate, frame_ms: options.frameMs, token: authToken };
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value));
    }
    this.url = url.href;
  }

  /** By how much the daemon's clock is ahead of this machine's, ms; null before that is known. */
  get clockOffsetMs() {
    return this.#clock.offsetMs;
  }

  connect() {
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      try {
        if (typeof data === 'string') this.#hear(JSON.parse(data));
        else this.#take(readPacket(data));
      } catch (error) {
        this.#end(error);
      }
    };
    socket.onclose = ({ code, reason }) => this.#end(new Error(reason || `the connection ended (${code})`));
  }

  disconnect() {
    this.onDisconnect = null;
    this.#end(new Error('disconnected'));
  }

  #end(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#clockTimer);
    this.#decoder?.close();
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close();
    }
    this.onDisconnect?.(error);
  }

  #hear(word) {
    if (word.type === 'connected') this.#begin(word);
    else if (word.type === 'gap') this.onGap?.(word);
    else if (word.type === 'state') this.onState?.(word);
    else if (word.type === 'clock') this.#takeClock(word);
    else if (word.type === 'error') this.#end(new Error(word.message));
  }

  #begin(about) {
    this.about = about;
    if (about.codec === 'opus') {
      this.#decoder = new OpusDecoder(about, (sound) => this.onSound?.(sound), (error) => this.#end(error));
    }
    this.#askForClock();
    this.onConnect?.(about);
  }

  /** @param {Packet} packet */
  #take(packet) {
    if (this.#decoder) {
      this.#decoder.decode(packet);
      return;
    }
    const [a, b] = readPcm(packet);
    this.onSound?.({ a, b, rate: this.about.sample_rate, capturedMs: packet.capturedMs });
  }

  #askForClock() {
    this.#socket.send(JSON.stringify({ type: 'clock', sent: performance.now() }));
    const wait = ++this.#asked < CLOCK_QUESTIONS ? CLOCK_SOON_MS : CLOCK_EVERY_MS;
    this.#clockTimer = setTimeout(() => this.#askForClock(), wait);
  }

  #takeClock({ sent, now_us }) {
    this.#clock.take(now_us / 1000, Date.now(), performance.now() - sent);
  }
}
