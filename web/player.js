// Plays sound as it comes. On a secure page an AudioWorklet does it; browsers give that to no other page, so there
// the main thread renders pieces ahead and schedules them.

import { JitterBuffer } from './jitter-buffer.js';

/** Length of a scheduled piece, frames. */
const PIECE_FRAMES = 2048;
/** So far ahead pieces are scheduled: longer than timers of a busy page are late. */
const AHEAD_S = 0.2;
const SCHEDULE_EVERY_MS = 40;

/**
 * @typedef {object} PlayerReport
 * @property {number} fillS seconds in the buffer
 * @property {number} targetS seconds that should be in it
 * @property {number} ratio speed against the stream's own
 * @property {number} underruns
 * @property {number} skippedS
 * @property {boolean} isPlaying
 * @property {?number} ageMs from the capture of the sound to its leaving the browser, by this machine's clock;
 *   null for silence
 */

/** The AudioWorklet. */
class WorkletOutput {
  static async open(context, onReport) {
    await context.audioWorklet.addModule(new URL('./player-worklet.js', import.meta.url));
    return new WorkletOutput(context, onReport);
  }

  constructor(context, onReport) {
    this.node = new AudioWorkletNode(context, 'talas-player', { numberOfInputs: 0, outputChannelCount: [2] });
    this.node.port.onmessage = ({ data }) => onReport(data);
  }

  push(a, b, rate, capturedMs) {
    this.node.port.postMessage({ a, b, rate, capturedMs }, [a.buffer, b.buffer]);
  }

  gap(gapS) {
    this.node.port.postMessage({ gapS });
  }

  restart(targetS) {
    this.node.port.postMessage({ targetS });
  }

  close() {
    this.node.disconnect();
  }
}

/** Pieces scheduled one after the other. */
class ScheduledOutput {
  #context;
  #buffer;
  #timer;
  #onReport;
  /** When the next piece begins, in the context's seconds. */
  #next = 0;
  /** Of the newest piece, when it is heard. */
  #ageMs = null;
  #turns = 0;

  constructor(context, onReport) {
    this.#context = context;
    this.#onReport = onReport;
    this.#buffer = new JitterBuffer(context.sampleRate);
    this.node = context.createGain();
    this.#timer = setInterval(() => this.#schedule(), SCHEDULE_EVERY_MS);
  }

  #schedule() {
    const context = this.#context;
    if (context.state !== 'running') return;
    // The first, or the page was held up: what it missed was silence, and the buffer cuts what has piled up.
    if (this.#next < context.currentTime) {
      this.#next = context.currentTime + AHEAD_S / 4;
    }
    while (this.#next < context.currentTime + AHEAD_S) {
      const { capturedMs } = this.#buffer;
      const waitsMs = (this.#next - context.currentTime) * 1000;
      this.#ageMs = capturedMs === null ? null : Date.now() + waitsMs - capturedMs;
      const piece = context.createBuffer(2, PIECE_FRAMES, context.sampleRate);
      this.#buffer.pull(piece.getChannelData(0), piece.getChannelData(1));
      const source = context.createBufferSource();
      source.buffer = piece;
      source.connect(this.node);
      source.start(this.#next);
      this.#next += piece.duration;
    }
    if (++this.#turns % 8 === 0) {
      const { fillS, targetS, ratio, underruns, skippedS, isPlaying } = this.#buffer;
      this.#onReport({ fillS, targetS, ratio, underruns, skippedS, isPlaying, ageMs: this.#ageMs });
    }
  }

  push(a, b, rate, capturedMs) {
    this.#buffer.push(a, b, rate, capturedMs);
  }

  gap(gapS) {
    this.#buffer.gap(gapS);
  }

  restart(targetS) {
    this.#buffer.restart(targetS);
  }

  close() {
    clearInterval(this.#timer);
    this.node.disconnect();
  }
}

export class Player {
  /** @type {?AudioContext} */
  #context = null;
  #output = null;
  #volume = 1;
  #gain = null;
  /** Counts openings and closings: one that was overtaken closes what it opened. */
  #turn = 0;
  /** What the buffer should hold, seconds. */
  #targetS = 0.15;

  /** @type {?AnalyserNode} what goes out, for meters */
  analyser = null;
  /** @type {?PlayerReport} */
  report = null;
  /** @type {?(report: PlayerReport) => void} */
  onReport = null;
  /** The browser holds the sound back or lets it go: `suspended`, `interrupted`, `running`. */
  onContextState = null;

  get isOpen() {
    return this.#context !== null;
  }

  /** Which way the sound goes. @returns {?('worklet'|'scheduled')} */
  get way() {
    if (!this.#output) return null;
    return this.#output instanceof WorkletOutput ? 'worklet' : 'scheduled';
  }

  /** Begins to play. Call it from a click: browsers start no sound by themselves. */
  async open() {
    if (this.#context) return;
    const turn = ++this.#turn;
    const context = new AudioContext({ latencyHint: 'interactive' });
    this.#context = context;
    context.onstatechange = () => this.onContextState?.(context.state);
    this.#gain = context.createGain();
    this.#gain.gain.value = this.#volume;
    this.analyser = context.createAnalyser();
    this.#gain.connect(this.analyser).connect(context.destination);
    const onReport = (report) => {
      // What the browser and the device hold beyond.
      const outputMs = (context.outputLatency || context.baseLatency || 0) * 1000;
      this.report = { ...report, ageMs: report.ageMs === null ? null : report.ageMs + outputMs };
      this.onReport?.(this.report);
    };
    const resumed = context.resume();
    const output = context.audioWorklet
      ? await WorkletOutput.open(context, onReport)
      : new ScheduledOutput(context, onReport);
    if (turn !== this.#turn) {
      output.close();
      return;
    }
    this.#output = output;
    output.restart(this.#targetS);
    output.node.connect(this.#gain);
    await resumed;
  }

  /** Ends it and gives the device back. */
  async close() {
    this.#turn++;
    const context = this.#context;
    this.#output?.close();
    this.#context = this.#output = this.#gain = this.analyser = this.report = null;
    if (context) context.onstatechange = null;
    await context?.close();
  }

  /** @param {number} volume 0 … 1, of amplitude */
  set volume(volume) {
    this.#volume = volume;
    // A short glide: a jump of the gain clicks.
    this.#gain?.gain.setTargetAtTime(volume, this.#context.currentTime, 0.015);
  }

  get volume() {
    return this.#volume;
  }

  /**
   * Sound. The arrays change hands.
   * @param {Float32Array} a @param {Float32Array} b @param {number} rate
   * @param {number} [capturedMs] when the first of it was captured, ms since the epoch
   */
  push(a, b, rate, capturedMs) {
    this.#output?.push(a, b, rate, capturedMs);
  }

  /** @param {number} seconds of sound that is missing */
  gap(seconds) {
    this.#output?.gap(seconds);
  }

  /** What comes is another stream, whose buffer should hold so many seconds. @param {number} targetS */
  restart(targetS) {
    this.#targetS = targetS;
    this.#output?.restart(targetS);
  }
}
