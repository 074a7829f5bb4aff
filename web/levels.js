// Levels of a channel as a meter shows them: RMS over 300 ms, a peak that falls slowly, a held peak, and whether
// it ever clipped. No browser in here; times are milliseconds of whatever clock the caller has.

/** Time in which the RMS follows a step. */
const RMS_MS = 300;
const PEAK_FALL_DB_PER_S = 20;
const HOLD_MS = 1500;
/** The largest positive value of 16 bits: where the daemon counts a sample as clipped. */
const CLIP = 32767 / 32768;

/** Amplitude in dB of full scale; −∞ for silence. */
export const toDbfs = (amplitude) => 20 * Math.log10(amplitude);

export class Level {
  #square = 0;
  #peak = 0;
  #peakAt = 0;
  #held = 0;
  #heldAt = 0;

  /** Since the last `reset`. */
  clipped = 0;

  /**
   * @param {import('./talas-client.js').Samples} samples
   * @param {number} seconds their length
   * @param {number} now ms
   */
  push(samples, seconds, now) {
    let squares = 0;
    let peak = 0;
    for (let n = 0; n < samples.length; n++) {
      const magnitude = Math.abs(samples[n]);
      squares += magnitude * magnitude;
      if (magnitude > peak) peak = magnitude;
      if (magnitude >= CLIP) this.clipped++;
    }
    const kept = Math.exp((-seconds * 1000) / RMS_MS);
    this.#square = this.#square * kept + (squares / samples.length) * (1 - kept);
    if (peak >= this.#peakNow(now)) {
      this.#peak = peak;
      this.#peakAt = now;
    }
    if (peak >= this.#held || now - this.#heldAt > HOLD_MS) {
      this.#held = peak;
      this.#heldAt = now;
    }
  }

  #peakNow(now) {
    return this.#peak * 10 ** ((-PEAK_FALL_DB_PER_S * Math.max(0, now - this.#peakAt)) / 20_000);
  }

  /** Levels in dBFS. */
  read(now) {
    return { rms: toDbfs(Math.sqrt(this.#square)), peak: toDbfs(this.#peakNow(now)), held: toDbfs(this.#held) };
  }

  /** Sound ended: nothing of it stays on the meter. Clipping is remembered. */
  silence() {
    this.#square = this.#peak = this.#held = 0;
  }

  reset() {
    this.clipped = 0;
  }
}
