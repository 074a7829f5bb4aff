// The client of Talas' frame API: live blocks, gaps and states, statistics, commands.
//
//   import { AudioStreamClient } from '/talas-client.js';
//   const client = new AudioStreamClient('', token);
//   client.onFrame = (frame) => draw(frame.channel_a, frame.channel_b);
//   client.connect();
//
// A stream that breaks is resumed where it broke: what was sent meanwhile comes late, not never, as long as
// the daemon still has it (10 s); what it no longer has comes as a gap.

import { EventStreamParser } from './event-stream.js';

/**
 * @typedef {number[] | Float32Array} Samples numbers as JSON has them, or an array of floats
 *
 * @typedef {object} AudioFrame a block of sound
 * @property {Samples} channel_a
 * @property {Samples} channel_b
 * @property {number} sample_rate frames per second as sent; quality lowers it
 * @property {number} timestamp when its first sample was captured, ms since the epoch
 * @property {number} frame_number rises by 1, across a gap by more
 * @property {number} duration_ms
 * @property {number} position number of its first sample since the source began
 *
 * @typedef {object} Gap sound that is missing
 * @property {number} from_frame
 * @property {number} to_frame
 * @property {number} lost_samples samples of one channel, at the rate of capture
 * @property {string} reason `overrun`, `suspend`, `stalled`, `absent`, `paused`, `slow_listener`, …
 * @property {number} timestamp ms since the epoch
 *
 * @typedef {object} State what the programme does
 * @property {'starting'|'running'|'paused'|'stalled'|'absent'|'stopping'} state
 * @property {?string} reason
 * @property {number} since ms since the epoch
 *
 * @typedef {object} Reconnect the stream broke, and this is the next attempt
 * @property {number} attempt from 1
 * @property {number} maxAttempts
 * @property {number} delayMs from now
 * @property {Error} error what broke it
 *
 * @typedef {object} StreamOptions
 * @property {'json'|'f32'|'s16'|'deflate'} [encoding] how blocks travel; binary ones arrive as Float32Array
 * @property {number} [quality] 1, 0.5, 0.25 or 0.125; without it the stream follows the global quality
 * @property {number} [maxFps] blocks per second at most
 */

/** Frames are dense: a stream that should run and says nothing for so long is dead. */
const SILENCE_RUNNING_MS = 10_000;
/** Heartbeats come every 60 s at the rarest. */
const SILENCE_IDLE_MS = 70_000;

/** What the daemon refused, or could not do. */
export class RequestError extends Error {
  /**
   * @param {number} status of HTTP
   * @param {string} code stable word for programs
   * @param {string} message for people
   * @param {number} retryAfterMs what the daemon asks to wait
   */
  constructor(status, code, message, retryAfterMs = 0) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may be answered later. */
  get isPassing() {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }

  /** @param {Response} response an answer that is not a success */
  static async of(response) {
    const problem = await response.json().catch(() => ({}));
    const message = problem.detail ?? `HTTP ${response.status}: ${response.statusText}`;
    const seconds = Number(response.headers.get('Retry-After'));
    return new RequestError(response.status, problem.code ?? 'http', message, seconds > 0 ? seconds * 1000 : 0);
  }
}

/** @param {string} text base64 @returns {Uint8Array<ArrayBuffer>} */
function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = binary.charCodeAt(n);
  return bytes;
}

const UNPACK = {
  f32: (text) => {
    const view = new DataView(fromBase64(text).buffer);
    return Float32Array.from({ length: view.byteLength >> 2 }, (_, n) => view.getFloat32(n * 4, true));
  },
  s16: (text) => {
    const view = new DataView(fromBase64(text).buffer);
    return Float32Array.from({ length: view.byteLength >> 1 }, (_, n) => view.getInt16(n * 2, true) / 32768);
  },
};

async function inflate(text) {
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Response(stream).text();
}

/**
 * The data of an `audio-frame`, whatever it was encoded with.
 * @param {string} data
 * @returns {Promise<AudioFrame>}
 */
export async function decodeFrame(data) {
  const frame = JSON.parse(data.startsWith('{') ? data : await inflate(data));
  const unpack = UNPACK[frame.encoding];
  if (unpack) {
    frame.channel_a = unpack(frame.channel_a);
    frame.channel_b = unpack(frame.channel_b);
  } else if (frame.encoding !== undefined) {
    throw new TypeError(`unknown encoding ${frame.encoding}`);
  }
  return frame;
}

const isSamples = (channel) => Array.isArray(channel) || channel instanceof Float32Array;

/** One live stream, and the requests that go with it. */
export class AudioStreamClient {
  /** @type {?AbortController} */
  #connection = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #silence;
  #lastEventId = '';
  /** @type {?AudioFrame} */
  #previous = null;
  #state = null;

  /**
   * @param {string} baseUrl where the daemon is, without the path; '' is the page's own origin
   * @param {?string} authToken goes as `Authorization: Bearer`, never into an address
   * @param {StreamOptions} options
   */
  constructor(baseUrl = '', authToken = null, options = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.authToken = authToken;
    this.encoding = options.encoding ?? 'json';
    this.quality = options.quality;
    this.maxFps = options.maxFps;

    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = 5;
    /** Before the first attempt, ms; each further one waits twice as long. */
    this.reconnectDelay = 1000;
    /** Never longer than this, ms. */
    this.maxReconnectDelay = 60_000;

    /** The newest blocks, oldest first. @type {AudioFrame[]} */
    this.audioBuffer = [];
    this.maxBufferSize = 100;

    /** Frames per second of the capture, once two blocks in a row have shown it. @type {?number} */
    this.captureRate = null;
    /** Id that the daemon gave this connection. @type {?string} */
    this.connectionId = null;

    /** @type {?(frame: AudioFrame) => void} */
    this.onFrame = null;
    /** @type {?(gap: Gap) => void} */
    this.onGap = null;
    /** @type {?(state: State) => void} */
    this.onState = null;
    /** @type {?(stats: object) => void} */
    this.onStats = null;
    /** @type {?(error: Error) => void} */
    this.onError = null;
    /** The stream runs. @type {?(event: {connectionId: string, resumed: boolean}) => void} */
    this.onConnect = null;
    /** The stream broke and will be tried again. @type {?(event: Reconnect) => void} */
    this.onReconnect = null;
    /** The stream was given up: refused, or out of attempts. @type {?(error: Error) => void} */
    this.onDisconnect = null;
    /** @type {?(data: string) => void} */
    this.onHeartbeat = null;
  }

  /** Whether a stream is open, being opened or waited for. */
  get isActive() {
    return this.#connection !== null || this.#timer !== undefined;
  }

  /** Begins the stream. While waiting for the next attempt: makes it now. */
  connect() {
    if (this.#connection) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const connection = new AbortController();
    this.#connection = connection;
    this.#run(connection).catch((error) => this.#broken(connection, error));
  }

  /** Ends the stream, forgets its place and its blocks. */
  disconnect() {
    this.#close();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastEventId = '';
    this.#previous = null;
    this.reconnectAttempts = 0;
    this.audioBuffer = [];
  }

  #close() {
    clearTimeout(this.#silence);
    this.#connection?.abort();
    this.#connection = null;
    this.#state = null;
    this.connectionId = null;
  }

  #streamUrl() {
    const query = new URLSearchParams();
    if (this.encoding !== 'json') query.set('encoding', this.encoding);
    if (this.quality !== undefined) query.set('quality', String(this.quality));
    if (this.maxFps !== undefined) query.set('max_fps', String(this.maxFps));
    return `${this.baseUrl}/api/audio/stream${query.size ? `?${query}` : ''}`;
  }

  /**
   * Another origin must allow the header (`http.cors.headers`), and a browser does not tell a refusal
   * from a daemon that is down: there every second attempt goes without.
   */
  #mayResume() {
    const page = globalThis.location?.origin;
    const isOwn = !page || new URL(this.baseUrl || page, page).origin === page;
    return isOwn || this.reconnectAttempts % 2 === 1;
  }

  #headers(more = {}) {
    return this.authToken ? { ...more, Authorization: `Bearer ${this.authToken}` } : more;
  }

  /** Reads one connection to its end. */
  async #run(connection) {
    const { signal } = connection;
    const headers = this.#headers({ Accept: 'text/event-stream' });
    if (this.#lastEventId && this.#mayResume()) headers['Last-Event-ID'] = this.#lastEventId;
    this.#watchSilence(connection);
    const response = await fetch(this.#streamUrl(), { headers, signal, cache: 'no-store' });
    if (!response.ok) throw await RequestError.of(response);
    const parser = new EventStreamParser(this.#lastEventId);
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error('the daemon ended the stream');
      this.#watchSilence(connection);
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        await this.#take(event);
        // A callback may have ended the stream.
        if (signal.aborted) return;
      }
    }
  }

  #watchSilence(connection) {
    clearTimeout(this.#silence);
    const limit = this.#state === 'running' && this.maxFps === undefined ? SILENCE_RUNNING_MS : SILENCE_IDLE_MS;
    this.#silence = setTimeout(() => {
      this.#broken(connection, new Error(`the stream said nothing for ${limit / 1000} s`));
    }, limit);
  }

  /** @param {import('./event-stream.js').StreamEvent} event */
  async #take(event) {
    try {
      if (event.type === 'audio-frame') this.#takeFrame(await decodeFrame(event.data));
      else if (event.type === 'gap') this.onGap?.(JSON.parse(event.data));
      else if (event.type === 'state') this.#takeState(JSON.parse(event.data));
      else if (event.type === 'heartbeat') this.onHeartbeat?.(event.data);
      else if (event.type === 'error') this.onError?.(new Error(event.data));
      else if (event.type === 'message' && event.data === 'connected') this.#connected(event.lastEventId);
    } catch (error) {
      this.onError?.(error);
    }
    // Only what was taken is not asked for again.
    this.#lastEventId = event.lastEventId;
  }

  #connected(id) {
    const resumed = this.#lastEventId !== '';
    this.connectionId = id;
    this.reconnectAttempts = 0;
    this.onConnect?.({ connectionId: id, resumed });
  }

  #takeState(state) {
    this.#state = state.state;
    this.onState?.(state);
  }

  #takeFrame(frame) {
    if (!this.validateFrame(frame)) {
      throw new TypeError(`frame ${frame?.frame_number} is not valid`);
    }
    const before = this.#previous;
    // Two blocks in a row tell the rate of capture, also when quality has lowered the rate of what is sent.
    if (before && frame.frame_number === before.frame_number + 1) {
      this.captureRate = Math.round(((frame.position - before.position) * 1000) / before.duration_ms);
    }
    this.#previous = frame;
    this.audioBuffer.push(frame);
    if (this.audioBuffer.length > this.maxBufferSize) this.audioBuffer.shift();
    this.onFrame?.(frame);
  }

  #broken(connection, error) {
    // What a closed connection still has to say is of no interest.
    if (connection !== this.#connection) return;
    this.#close();
    this.onError?.(error);
    const isFinal = error instanceof RequestError && !error.isPassing;
    if (isFinal || this.reconnectAttempts >= this.maxReconnectAttempts) {
      this.reconnectAttempts = 0;
      this.onDisconnect?.(error);
      return;
    }
    this.reconnectAttempts++;
    const doubled = this.reconnectDelay * 2 ** (this.reconnectAttempts - 1);
    const delayMs = Math.max(Math.min(doubled, this.maxReconnectDelay), error.retryAfterMs ?? 0);
    this.#timer = setTimeout(() => this.connect(), delayMs);
    const { reconnectAttempts: attempt, maxReconnectAttempts: maxAttempts } = this;
    this.onReconnect?.({ attempt, maxAttempts, delayMs, error });
  }

  async #request(path, init) {
    try {
      const response = await fetch(`${this.baseUrl}${path}`, init);
      if (!response.ok) throw await RequestError.of(response);
      return await response.json();
    } catch (error) {
      this.onError?.(error);
      throw error;
    }
  }

  /** Statistics of the daemon. @returns {Promise<object>} */
  async getStats() {
    const stats = await this.#request('/api/audio/stats', { headers: this.#headers(), cache: 'no-store' });
    this.onStats?.(stats);
    return stats;
  }

  /**
   * `pause`, `resume`, or `adjust_quality` with `{quality: 0.1 … 1}`.
   * @param {string} action
   * @param {object} params
   * @returns {Promise<{success: boolean, message: string, timestamp: number}>}
   */
  async sendCommand(action, params = {}) {
    return this.#request('/api/audio/control', {
      method: 'POST',
      headers: this.#headers({ 'Content-Type': 'application/json' }),
      body: JSON.stringify({ action, params }),
    });
  }

  /** @returns {AudioFrame | undefined} */
  getLatestFrame() {
    return this.audioBuffer.at(-1);
  }

  /** The newest blocks, oldest first. @returns {AudioFrame[]} */
  getFrameHistory(count = 10) {
    return count > 0 ? this.audioBuffer.slice(-count) : [];
  }

  /** Root mean square of a channel; 0 for what is none. @param {Samples} channel */
  calculateRMS(channel) {
    if (!isSamples(channel) || channel.length === 0) return 0;
    let squares = 0;
    for (let n = 0; n < channel.length; n++) squares += channel[n] * channel[n];
    return Math.sqrt(squares / channel.length);
  }

  /** Whether this is a block. */
  validateFrame(frame) {
    return (
      typeof frame === 'object' &&
      frame !== null &&
      isSamples(frame.channel_a) &&
      isSamples(frame.channel_b) &&
      frame.channel_a.length === frame.channel_b.length &&
      Number.isFinite(frame.sample_rate) &&
      frame.sample_rate > 0 &&
      Number.isFinite(frame.timestamp) &&
      Number.isSafeInteger(frame.frame_number)
    );
  }
}
