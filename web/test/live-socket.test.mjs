import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ClockOffset, HEADER_BYTES, LiveSocket, bestCodec, readPacket, readPcm } from '../live-socket.js';

/** A packet as the daemon writes it. */
function packet({ content = 2, flags = 0, channels = 2, frames = 0, skip = 0, sequence = 0n, sound = [] } = {}) {
  const message = new ArrayBuffer(HEADER_BYTES + sound.length);
  const view = new DataView(message);
  view.setUint8(0, 1);
  view.setUint8(1, content);
  view.setUint8(2, flags);
  view.setUint8(3, channels);
  view.setUint16(4, frames, true);
  view.setUint16(6, skip, true);
  view.setBigUint64(8, sequence, true);
  view.setBigUint64(16, 480_000n, true);
  view.setBigUint64(24, 1_700_000_000_000_500n, true);
  new Uint8Array(message, HEADER_BYTES).set(sound);
  return message;
}

/** A WebSocket that a test speaks through. */
class FakeSocket {
  static made = [];
  said = [];
  isClosed = false;

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
  }

  send(text) {
    this.said.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  hear(word) {
    this.onmessage?.({ data: word instanceof ArrayBuffer ? word : JSON.stringify(word) });
  }
}

/** A decoder that makes five frames of each packet, all of its first byte. */
class FakeDecoder {
  static isGood = true;
  state = 'configured';

  static async isConfigSupported() {
    return { supported: FakeDecoder.isGood };
  }

  constructor({ output, error }) {
    this.output = output;
    this.error = error;
  }

  configure(config) {
    this.config = config;
  }

  decode({ data }) {
    if (data[0] === 255) {
      this.error(new Error('cannot decode'));
      return;
    }
    this.output({
      numberOfFrames: 5,
      numberOfChannels: 1,
      sampleRate: 48_000,
      copyTo: (samples) => samples.set([0, 1, 2, 3, 4].map((n) => data[0] + n)),
      close() {},
    });
  }

  close() {
    this.state = 'closed';
  }
}

const PCM = { type: 'connected', codec: 'pcm', encoding: 's16', sample_rate: 48_000, channels: 2, capture_rate: 48_000 };
const OPUS = { type: 'connected', codec: 'opus', sample_rate: 48_000, channels: 1, capture_rate: 48_000 };

afterEach(() => {
  FakeSocket.made = [];
  for (const name of ['WebSocket', 'AudioDecoder', 'EncodedAudioChunk']) delete globalThis[name];
});

/** An open socket, and everything that it tells. */
function listen(t, ...arguments_) {
  globalThis.WebSocket = FakeSocket;
  const socket = new LiveSocket('http://host:1/', ...arguments_);
  const heard = [];
  for (const name of ['Sound', 'Gap', 'State', 'Connect', 'Disconnect']) {
    socket[`on${name}`] = (value) => heard.push([name, value]);
  }
  t.after(() => socket.disconnect());
  socket.connect();
  return { socket, heard, wire: FakeSocket.made.at(-1) };
}

const named = (heard, name) => heard.filter(([known]) => known === name).map(([, value]) => value);

test('reads a header field by field', () => {
  const read = readPacket(packet({ content: 3, flags: 1, frames: 480, skip: 120, sequence: 7n, sound: [1, 2, 3] }));
  assert.deepEqual({ ...read, sound: [...read.sound] }, {
    content: 'f32', isStart: true, channels: 2, frames: 480, skip: 120, sequence: 7, position: 480_000,
    capturedMs: 1_700_000_000_000.5, sound: [1, 2, 3],
  });
  assert.throws(() => readPacket(packet({ content: 9 })), /unknown content 9/);
  assert.throws(() => readPacket(new ArrayBuffer(8)), /version 1/);
  const newer = packet();
  new DataView(newer).setUint8(0, 2);
  assert.throws(() => readPacket(newer), /version 1/);
});

test('reads PCM of both kinds, skips what is to be skipped, and doubles one channel', () => {
  const sixteen = (...values) => [...new Uint8Array(Int16Array.from(values).buffer)];
  const [a, b] = readPcm(readPacket(packet({ frames: 2, skip: 1, sound: sixteen(1, 2, 16_384, -16_384, -32_768, 0) })));
  assert.deepEqual([[...a], [...b]], [[0.5, -1], [-0.5, 0]]);
  const floats = [...new Uint8Array(Float32Array.from([0.25, -0.75]).buffer)];
  const [one, same] = readPcm(readPacket(packet({ content: 3, channels: 1, frames: 2, sound: floats })));
  assert.deepEqual([[...one], [...same]], [[0.25, -0.75], [0.25, -0.75]]);
  assert.notEqual(one, same, 'each can change hands');
});

test('puts what is wanted, and the token, into the address', (t) => {
  const { wire } = listen(t, 'a b', { codec: 'opus', bitrate: 96, frameMs: 5 });
  assert.equal(wire.url, 'ws://host:1/api/audio/live?codec=opus&bitrate=96&frame_ms=5&token=a+b');
  assert.equal(new LiveSocket('https://host').url, 'wss://host/api/audio/live');
});

test('hears sound, gaps and states', (t) => {
  const { heard, wire } = listen(t);
  wire.hear(PCM);
  wire.hear({ type: 'state', state: 'running', reason: null, since: 1 });
  wire.hear(packet({ frames: 1, sound: [0, 64, 0, 192] }));
  wire.hear({ type: 'gap', position: 1, lost_samples: 2, reason: 'overrun', timestamp: 3 });
  assert.deepEqual(heard.map(([name]) => name), ['Connect', 'State', 'Sound', 'Gap']);
  const [{ a, b, rate, capturedMs }] = named(heard, 'Sound');
  assert.deepEqual([[...a], [...b], rate, capturedMs], [[0.5], [-0.5], 48_000, 1_700_000_000_000.5]);
});

test('decodes Opus by the browser and takes out what is to be skipped', async (t) => {
  assert.equal(await bestCodec(), 'pcm', 'without WebCodecs');
  globalThis.AudioDecoder = FakeDecoder;
  globalThis.EncodedAudioChunk = class {
    constructor(init) {
      Object.assign(this, init);
    }
  };
  assert.equal(await bestCodec(), 'opus');
  const { heard, wire } = listen(t);
  wire.hear(OPUS);
  wire.hear(packet({ content: 1, channels: 1, frames: 0, skip: 5, sound: [10] }));
  wire.hear(packet({ content: 1, channels: 1, frames: 3, skip: 2, sound: [20] }));
  wire.hear(packet({ content: 1, channels: 1, frames: 5, sound: [30] }));
  assert.deepEqual(named(heard, 'Sound').map(({ a }) => [...a]), [[22, 23, 24], [30, 31, 32, 33, 34]]);
  wire.hear(packet({ content: 1, channels: 1, frames: 5, sound: [255] }));
  assert.equal(named(heard, 'Disconnect')[0].message, 'cannot decode');
  assert.equal(wire.isClosed, true);
  FakeDecoder.isGood = false;
  assert.equal(await bestCodec(), 'pcm', 'without Opus');
  FakeDecoder.isGood = true;
});

test('says why it is over, once', (t) => {
  const { heard, wire } = listen(t);
  const onclose = wire.onclose;
  wire.hear({ type: 'error', code: 'access_revoked', message: 'what you were let in by is over' });
  onclose({ code: 1008, reason: 'access_revoked' });
  assert.deepEqual(named(heard, 'Disconnect').map(({ message }) => message), ['what you were let in by is over']);
  const other = listen(t);
  other.wire.onclose({ code: 1006, reason: '' });
  assert.match(named(other.heard, 'Disconnect')[0].message, /1006/);
  const quiet = listen(t);
  quiet.socket.disconnect();
  assert.deepEqual(quiet.heard, []);
});

test('what is no packet ends it', (t) => {
  const { heard, wire } = listen(t);
  wire.hear(PCM);
  wire.hear(new ArrayBuffer(3));
  assert.match(named(heard, 'Disconnect')[0].message, /version 1/);
});

test('asks for the time and believes the quickest answer', (t) => {
  const { socket, wire } = listen(t);
  assert.equal(socket.clockOffsetMs, null);
  wire.hear(PCM);
  const [{ type, sent }] = wire.said;
  assert.equal(type, 'clock');
  wire.hear({ type: 'clock', sent, now_us: (Date.now() + 5000) * 1000 });
  assert.ok(Math.abs(socket.clockOffsetMs - 5000) < 50, `${socket.clockOffsetMs}`);
  const clock = new ClockOffset();
  clock.take(1100, 1000, 40);
  clock.take(1160, 1000, 200);
  assert.equal(clock.offsetMs, 120);
  clock.take(1098, 1000, 4);
  assert.equal(clock.offsetMs, 100);
  for (let n = 0; n < 20; n++) clock.take(1200, 1000, 10);
  assert.equal(clock.offsetMs, 205, 'what is long ago is forgotten: clocks drift');
});
