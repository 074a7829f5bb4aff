// What the Listen button does: low-latency sound over WebSocket where that is to be had, else the blocks of the
// page's stream. No page in here.

import { LiveSocket, bestCodec } from './live-socket.js';
import { Player } from './player.js';

/** What the player's buffer should hold, seconds: packets come every few milliseconds, blocks in lumps. */
const SOCKET_TARGET_S = 0.06;
const STREAM_TARGET_S = 0.15;
/** So long the page's stream waits for a WebSocket to bring sound before it helps out, ms. */
const PATIENCE_MS = 2000;
/** Between two attempts to get a WebSocket, ms: at first, and at most. */
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

export class Listening {
  /** @type {?LiveSocket} */
  #socket = null;
  #timer;
  #patience;
  #retryMs = RETRY_MS;
  /** Counts openings and closings: what was overtaken does nothing any more. */
  #turn = 0;

  /** Where the sound comes from. @type {?('socket'|'stream')} */
  source = null;

  /** Something is to be shown anew. @type {?() => void} */
  onChange = null;

  /** @param {import('./talas-client.js').AudioStreamClient} client of the page's stream */
  constructor(client, player = new Player()) {
    this.client = client;
    this.player = player;
    this.player.onReport = () => this.onChange?.();
  }

  get isOpen() {
    return this.player.isOpen;
  }

  /**
   * From the capture of what is heard now to its leaving the browser, ms; null where that is not known: without
   * sound, or without the daemon's clock.
   */
  get delayMs() {
    const offsetMs = this.#socket?.clockOffsetMs ?? null;
    const ageMs = this.player.report?.ageMs ?? null;
    return this.source === 'socket' && offsetMs !== null && ageMs !== null ? ageMs + offsetMs : null;
  }

  /** Begins to play. Call it from a click: browsers start no sound by themselves. */
  async open() {
    const turn = ++this.#turn;
    await this.player.open();
    if (turn !== this.#turn) return;
    this.#patience = setTimeout(() => this.#use('stream'), PATIENCE_MS);
    await this.#connect(turn);
  }

  async close() {
    this.#turn++;
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#socket?.disconnect();
    this.#socket = this.source = null;
    this.#retryMs = RETRY_MS;
    await this.player.close();
  }

  async #connect(turn, codec) {
    codec ??= await bestCodec();
    if (turn !== this.#turn) return;
    const socket = new LiveSocket(this.client.baseUrl, this.client.authToken, { codec });
    let hasSound = false;
    socket.onSound = ({ a, b, rate, capturedMs }) => {
      if (!hasSound) this.#use('socket');
      hasSound = true;
      this.#retryMs = RETRY_MS;
      this.player.push(a, b, rate, capturedMs);
    };
    socket.onGap = ({ lost_samples }) => this.player.gap(lost_samples / socket.about.capture_rate);
    socket.onDisconnect = () => {
      this.#socket = null;
      this.#use('stream');
      // A browser that cannot decode after all, or a daemon that is away, or a proxy in between.
      const next = socket.about && !hasSound ? 'pcm' : codec;
      this.#timer = setTimeout(() => this.#connect(turn, next), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    };
    this.#socket = socket;
    socket.connect();
  }

  /** Sound comes from there from now on. */
  #use(source) {
    clearTimeout(this.#patience);
    if (this.source === source) return;
    this.source = source;
    this.player.restart(source === 'socket' ? SOCKET_TARGET_S : STREAM_TARGET_S);
    this.onChange?.();
  }

  /** A block of the page's stream. @param {import('./talas-client.js').AudioFrame} frame */
  frame({ channel_a, channel_b, sample_rate, timestamp }) {
    if (this.source !== 'stream') return;
    // Copies: they change hands, and the stream's own blocks stay with the client.
    this.player.push(Float32Array.from(channel_a), Float32Array.from(channel_b), sample_rate, timestamp);
  }

  /** A gap of the page's stream. @param {number} seconds */
  gap(seconds) {
    if (this.source === 'stream') this.player.gap(seconds);
  }
}
