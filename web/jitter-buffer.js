// The player's pure part: blocks in at the card's pace, sound out at the browser's. No browser in here.
//
// A queue of blocks is read through a resampler whose ratio follows the fill of the queue, so that card and
// browser may disagree about the length of a second. Time stays true: what is missing is silence of that length,
// and what came too late to be played is skipped.

/** Taps of the interpolating filter and its tabulated phases. */
const TAPS = 32;
const PHASES = 128;
/** Shape of the filter's Kaiser window: images are some 90 dB down. */
const KAISER_BETA = 9;
/** Part of the band that passes where the output rate is the lower one. */
const PASSBAND = 0.92;
/** Longest fade that hides a seam, in input samples. */
const FADE = 256;
/** What is left, sample by sample, of the sound that a seam cut off. */
const DECAY = 0.985;
/** Speed change for each second that the queue is too long: slow enough not to be heard. */
const PULL_PER_S = 0.02;
/** Largest speed change: 5 cents. */
const LARGEST_PULL = 0.003;
/** The fill is averaged over so many seconds, because blocks come in lumps. */
const FILL_AVERAGE_S = 1;
/** An underrun makes the target longer by this, up to the limit: the network is worse than thought. */
const TARGET_STEP_S = 0.05;
const TARGET_LIMIT_S = 0.5;
/** So long without an underrun the target becomes shorter again by this, down to what it was at first. */
const EASE_AFTER_S = 30;
const EASE_STEP_S = 0.01;
/** A queue that is longer than the target by this is cut: blocks came all at once after a hold-up. */
const EXCESS_S = 0.3;

function besselI0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * A windowed sinc at `PHASES + 1` places between two samples.
 * @param {number} cutoff part of the input's band that passes
 */
function makeKernel(cutoff) {
  const kernel = new Float32Array((PHASES + 1) * TAPS);
  for (let phase = 0; phase <= PHASES; phase++) {
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap++) {
      const x = tap - (TAPS / 2 - 1) - phase / PHASES;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      const edge = (2 * x) / TAPS;
      const window = besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - edge * edge)));
      kernel[phase * TAPS + tap] = sinc * window;
      sum += sinc * window;
    }
    // Each phase passes a constant unchanged.
    for (let tap = 0; tap < TAPS; tap++) kernel[phase * TAPS + tap] /= sum;
  }
  return kernel;
}

/** One channel's last inputs, written twice so that a window of them lies in one piece. */
class History {
  samples = new Float32Array(2 * TAPS);
  newest = 0;

  write(at, sample) {
    this.samples[at] = sample;
    this.samples[at + TAPS] = sample;
    this.newest = sample;
  }
}

export class JitterBuffer {
  #outputRate;
  /** @type {{a: ?Float32Array, b: ?Float32Array, length: number, rate: number, capturedMs?: number}[]} */
  #queue = [];
  /** Samples taken from the first of the queue. */
  #read = 0;
  #a = new History();
  #b = new History();
  /** Where the next input sample is written. */
  #at = 0;
  /** Between two input samples: 0 … 1. */
  #phase = 0;
  #kernel = makeKernel(1);
  #kernelRate = 0;
  /** Rate of the newest block; silence while starved goes at the same. */
  #rate = 48_000;
  #averageFill = 0;
  /** Waiting for the queue to fill: silence goes out. */
  #isFilling = true;
  /** Silence that went out instead of sound, seconds: a gap that explains it is not played again. */
  #starvedS = 0;
  /** The queue ran empty, and no gap has said why. */
  #isUnexplained = false;
  /** Seam: samples of fading in still to come, and what is left of the sound before it. */
  #fadeIn = 0;
  #restA = 0;
  #restB = 0;
  /** What the target was at first, and seconds of sound since it was last changed. */
  #leastTargetS;
  #calmS = 0;

  /** Times that sound came too late for the queue, gaps not counted. */
  underruns = 0;
  /** Seconds of sound that came too late. */
  skippedS = 0;
  /** Speed against the stream's own, 1 is the same. */
  ratio = 1;

  /** @param {number} outputRate of the browser @param {number} targetS */
  constructor(outputRate, targetS = 0.15) {
    this.#outputRate = outputRate;
    this.#leastTargetS = this.targetS = targetS;
  }

  /** Whether sound, not silence, goes out. */
  get isPlaying() {
    return !this.#isFilling;
  }

  /** Seconds in the queue. */
  get fillS() {
    let sum = 0;
    for (const piece of this.#queue) sum += piece.length / piece.rate;
    const first = this.#queue[0];
    return first ? sum - this.#read / first.rate : 0;
  }

  /** When the sound that comes next was captured, ms since the epoch; null for silence. @returns {?number} */
  get capturedMs() {
    const first = this.#isFilling ? undefined : this.#queue[0];
    return first?.a && first.capturedMs !== undefined ? first.capturedMs + (this.#read / first.rate) * 1000 : null;
  }

  /**
   * Sound. The arrays belong to the buffer from here on.
   * @param {Float32Array} a @param {Float32Array} b @param {number} rate
   * @param {number} [capturedMs] when the first of it was captured, ms since the epoch
   */
  push(a, b, rate, capturedMs) {
    if (a.length === 0) return;
    if (this.#isUnexplained) this.#countUnderrun();
    this.#starvedS = 0;
    this.#rate = rate;
    this.#enqueue({ a, b, length: a.length, rate, capturedMs });
  }

  /** What comes is another stream, whose buffer should hold so many seconds. */
  restart(targetS) {
    this.#leastTargetS = this.targetS = targetS;
    this.#calmS = 0;
    this.#queue = [];
    this.#read = 0;
    this.#starvedS = 0;
    this.#isUnexplained = false;
    this.#isFilling = true;
    this.ratio = 1;
    this.#seam();
  }

  /** Sound that is missing, seconds: the same length of silence, less what went out already. */
  gap(seconds) {
    this.#isUnexplained = false;
    const rest = Math.max(0, seconds - this.#starvedS);
    this.#starvedS = Math.max(0, this.#starvedS - seconds);
    const length = Math.round(Math.min(rest, this.targetS + EXCESS_S) * this.#rate);
    if (length > 0) this.#enqueue({ a: null, b: null, length, rate: this.#rate });
  }

  #enqueue(piece) {
    this.#queue.push(piece);
    if (this.fillS > this.targetS + EXCESS_S) this.#skip();
  }

  /** Back to the target: the oldest pieces go. */
  #skip() {
    const before = this.fillS;
    while (this.#queue.length > 1 && this.fillS > this.targetS) this.#drop();
    this.skippedS += before - this.fillS;
    this.#averageFill = this.fillS;
    this.#seam();
  }

  #drop() {
    this.#queue.shift();
    this.#read = 0;
  }

  /** What follows does not continue what came before. */
  #seam() {
    this.#restA = this.#a.newest;
    this.#restB = this.#b.newest;
    this.#fadeIn = FADE;
  }

  /** Fills two arrays of the same length with sound at the output's rate. */
  pull(outA, outB) {
    const seconds = outA.length / this.#outputRate;
    this.#follow(seconds);
    for (let n = 0; n < outA.length; n++) {
      this.#interpolate(outA, outB, n);
      const rate = this.#queue[0]?.rate ?? this.#rate;
      this.#phase += (rate / this.#outputRate) * this.ratio;
      while (this.#phase >= 1) {
        this.#phase -= 1;
        this.#advance();
      }
    }
  }

  #follow(seconds) {
    const fill = this.fillS;
    if (this.#isFilling) {
      if (fill < this.targetS) {
        this.#starvedS += seconds;
        return;
      }
      this.#isFilling = false;
      this.#averageFill = fill;
      this.#seam();
    }
    this.#ease(seconds);
    this.#averageFill += (fill - this.#averageFill) * Math.min(1, seconds / FILL_AVERAGE_S);
    const pull = (this.#averageFill - this.targetS) * PULL_PER_S;
    this.ratio = 1 + Math.max(-LARGEST_PULL, Math.min(LARGEST_PULL, pull));
  }

  /** A network that was bad for a moment does not cost delay for ever. */
  #ease(seconds) {
    this.#calmS += seconds;
    if (this.#calmS < EASE_AFTER_S) return;
    this.#calmS = 0;
    this.targetS = Math.max(this.#leastTargetS, this.targetS - EASE_STEP_S);
  }

  /** Shifts the next input sample into the histories. */
  #advance() {
    let a = 0;
    let b = 0;
    const piece = this.#isFilling ? undefined : this.#queue[0];
    if (piece) {
      if (piece.rate !== this.#kernelRate) this.#tune(piece.rate);
      if (piece.a) {
        const gain = this.#fadeIn > 0 ? 1 - this.#fadeIn-- / FADE : 1;
        a = piece.a[this.#read] * gain;
        b = piece.b[this.#read] * gain;
      } else if (this.#read === 0) {
        this.#seam();
      }
      this.#read++;
      if (this.#read >= piece.length) this.#drop();
    }
    this.#restA *= DECAY;
    this.#restB *= DECAY;
    this.#a.write(this.#at, a + this.#restA);
    this.#b.write(this.#at, b + this.#restB);
    this.#at = (this.#at + 1) % TAPS;
    if (piece && this.#queue.length === 0) this.#starve();
  }

  #countUnderrun() {
    this.#isUnexplained = false;
    this.underruns++;
    this.#calmS = 0;
    this.targetS = Math.max(this.targetS, Math.min(this.targetS + TARGET_STEP_S, TARGET_LIMIT_S));
  }

  #starve() {
    this.#isUnexplained = true;
    this.#isFilling = true;
    this.ratio = 1;
    this.#seam();
  }

  /** The filter for an input rate: nothing above half of the lower rate may pass. */
  #tune(rate) {
    this.#kernelRate = rate;
    this.#kernel = makeKernel(rate > this.#outputRate ? (this.#outputRate / rate) * PASSBAND : 1);
  }

  #interpolate(outA, outB, n) {
    const place = this.#phase * PHASES;
    const low = Math.floor(place);
    const part = place - low;
    let row = low * TAPS;
    let a = 0;
    let b = 0;
    for (let tap = 0; tap < TAPS; tap++, row++) {
      const weight = this.#kernel[row] + (this.#kernel[row + TAPS] - this.#kernel[row]) * part;
      a += weight * this.#a.samples[this.#at + tap];
      b += weight * this.#b.samples[this.#at + tap];
    }
    outA[n] = a;
    outB[n] = b;
  }
}
