import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Listening } from '../listening.js';

/** A player that keeps what it is told. */
class FakePlayer {
  isOpen = false;
  report = null;
  done = [];

  async open() {
    this.isOpen = true;
  }

  async close() {
    this.isOpen = false;
  }

  restart(targetS) {
    this.done.push(['restart', targetS]);
  }

  push(a, b, rate, capturedMs) {
    this.done.push(['push', [...a], rate, capturedMs]);
  }

  gap(seconds) {
    this.done.push(['gap', seconds]);
  }
}

class FakeSocket {
  static made = [];

  constructor(url) {
    this.url = new URL(url);
    FakeSocket.made.push(this);
  }

  send() {}

  close() {
    this.isClosed = true;
  }
}

const ABOUT = JSON.stringify({ type: 'connected', codec: 'pcm', sample_rate: 48_000, channels: 1, capture_rate: 24_000 });
const FRAME = { channel_a: [0.5], channel_b: [0.5], sample_rate: 48_000, timestamp: 9 };

/** A packet of one frame. */
function packet() {
  const view = new DataView(new ArrayBuffer(34));
  [1, 2, 0, 1, 1].forEach((value, at) => view.setUint8(at, value));
  view.setBigUint64(24, 7000n, true);
  view.setInt16(32, 8192, true);
  return view.buffer;
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  globalThis.WebSocket = FakeSocket;
});

afterEach(() => {
  mock.timers.reset();
  FakeSocket.made = [];
  delete globalThis.WebSocket;
});

async function open() {
  const player = new FakePlayer();
  const listening = new Listening({ baseUrl: 'http://host', authToken: 'secret' }, player);
  await listening.open();
  return { listening, player, socket: FakeSocket.made.at(-1) };
}

test('plays what the socket brings, and not the blocks as well', async () => {
  const { listening, player, socket } = await open();
  assert.equal(socket.url.searchParams.get('token'), 'secret');
  assert.equal(listening.source, null);
  socket.onmessage({ data: ABOUT });
  socket.onmessage({ data: packet() });
  assert.equal(listening.source, 'socket');
  listening.frame(FRAME);
  listening.gap(1);
  socket.onmessage({ data: JSON.stringify({ type: 'gap', lost_samples: 12_000 }) });
  assert.deepEqual(player.done, [['restart', 0.06], ['push', [0.25], 48_000, 7], ['gap', 0.5]]);
  await listening.close();
  assert.deepEqual([socket.isClosed, listening.source, player.isOpen], [true, null, false]);
});

test('plays the blocks of the stream where no socket is to be had, and tries again', async () => {
  const { listening, player, socket } = await open();
  socket.onclose({ code: 1006, reason: '' });
  assert.equal(listening.source, 'stream');
  listening.frame(FRAME);
  listening.gap(2);
  assert.deepEqual(player.done, [['restart', 0.15], ['push', [0.5], 48_000, 9], ['gap', 2]]);
  assert.equal(listening.delayMs, null, 'the clock of the daemon is not known');
  mock.timers.tick(999);
  assert.equal(FakeSocket.made.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeSocket.made.length, 2);
  FakeSocket.made[1].onclose({ code: 1006, reason: '' });
  mock.timers.tick(1000);
  assert.equal(FakeSocket.made.length, 2, 'each time it waits longer');
  mock.timers.tick(1000);
  const again = FakeSocket.made[2];
  again.onmessage({ data: ABOUT });
  again.onmessage({ data: packet() });
  assert.equal(listening.source, 'socket');
  await listening.close();
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.made.length, 3, 'closed is closed');
});

test('does not wait long for a socket that brings nothing', async () => {
  const { listening, player } = await open();
  mock.timers.tick(2000);
  assert.equal(listening.source, 'stream');
  listening.frame(FRAME);
  assert.equal(player.done.at(-1)[0], 'push');
  await listening.close();
});

test('tells the delay by the clock of the daemon', async () => {
  const { listening, player, socket } = await open();
  socket.onmessage({ data: ABOUT });
  socket.onmessage({ data: packet() });
  assert.equal(listening.delayMs, null);
  const now_us = (Date.now() + 1000) * 1000;
  socket.onmessage({ data: JSON.stringify({ type: 'clock', sent: performance.now(), now_us }) });
  player.report = { ageMs: -930 };
  assert.ok(Math.abs(listening.delayMs - 70) < 20, `${listening.delayMs}`);
  player.report = { ageMs: null };
  assert.equal(listening.delayMs, null, 'silence has no age');
  await listening.close();
});
