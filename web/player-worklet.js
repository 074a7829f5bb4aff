// The player's end on the audio thread: a jitter buffer that is filled by messages and emptied by the browser.

import { JitterBuffer } from './jitter-buffer.js';

/** Quanta of 128 frames between two reports: about three a second. */
const REPORT_QUANTA = 128;

class PlayerProcessor extends AudioWorkletProcessor {
  #buffer = new JitterBuffer(sampleRate);
  #quanta = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.gapS !== undefined) this.#buffer.gap(data.gapS);
      else if (data.targetS !== undefined) this.#buffer.restart(data.targetS);
      else this.#buffer.push(data.a, data.b, data.rate, data.capturedMs);
    };
  }

  process(_inputs, [[left, right]]) {
    this.#buffer.pull(left, right);
    if (++this.#quanta % REPORT_QUANTA === 0) {
      const { fillS, targetS, ratio, underruns, skippedS, isPlaying, capturedMs } = this.#buffer;
      const ageMs = capturedMs === null ? null : Date.now() - capturedMs;
      this.port.postMessage({ fillS, targetS, ratio, underruns, skippedS, isPlaying, ageMs });
    }
    return true;
  }
}

registerProcessor('talas-player', PlayerProcessor);
