// Draws two channels: the envelope of the last ten seconds with its gaps, or the newest milliseconds as a scope.
// Positions, not arrival times, place the sound: a gap is as wide as it was long.

const SHOWN_S = 10;
/** Pieces of the history, each one minimum and maximum per channel. */
const BINS = 2048;
/** The right edge is so far behind the newest sound: blocks come in lumps. */
const BEHIND_S = 0.06;
/** The edge follows the stream's clock this fast per block, and jumps when it is off by more. */
const FOLLOW = 0.03;
const JUMP_S = 0.3;
const SCOPE_S = 0.02;
/** Newest samples kept for the scope. */
const RECENT = 16_384;

const NOTHING = 0;
const SOUND = 1;
const GAP = 2;

/** Minimum and maximum by bins of equal length; a bin is found by its number. */
class History {
  #number = new Float64Array(BINS).fill(-1);
  kind = new Uint8Array(BINS);
  low = [new Float32Array(BINS), new Float32Array(BINS)];
  high = [new Float32Array(BINS), new Float32Array(BINS)];

  /** The place of a bin, emptied if an older one was there. */
  open(number, kind) {
    const at = number % BINS;
    if (this.#number[at] !== number) {
      this.#number[at] = number;
      this.kind[at] = NOTHING;
    }
    if (this.kind[at] === NOTHING && kind === SOUND) {
      for (const channel of [0, 1]) {
        this.low[channel][at] = Infinity;
        this.high[channel][at] = -Infinity;
      }
    }
    // A gap is seen, however short: sound in the same bin does not cover it.
    this.kind[at] = Math.max(this.kind[at], kind);
    return at;
  }

  kindOf(number) {
    const at = ((number % BINS) + BINS) % BINS;
    return this.#number[at] === number ? this.kind[at] : NOTHING;
  }

  clear() {
    this.#number.fill(-1);
  }
}

/** The newest samples of both channels. */
class Recent {
  #samples = [new Float32Array(RECENT), new Float32Array(RECENT)];
  #end = 0;
  rate = 48_000;

  push(channels, rate) {
    if (rate !== this.rate) this.clear();
    this.rate = rate;
    for (let n = 0; n < channels[0].length; n++) {
      const at = (this.#end + n) % RECENT;
      this.#samples[0][at] = channels[0][n];
      this.#samples[1][at] = channels[1][n];
    }
    this.#end += channels[0].length;
  }

  /** A sample counted back from the newest. */
  back(channel, distance) {
    const at = this.#end - 1 - distance;
    return at < 0 || distance >= RECENT ? 0 : this.#samples[channel][at % RECENT];
  }

  clear() {
    for (const samples of this.#samples) samples.fill(0);
  }
}

export class Waveform {
  #canvas;
  #context;
  #history = new History();
  #recent = new Recent();
  #colours = {};
  #hatch = null;
  /** Device pixels for each CSS pixel, for which the canvas is made. */
  #scale = 1;
  #rate = 0;
  #binFrames = 256;
  /** Position after the newest sound or gap. */
  #end = null;
  /** Stream's seconds minus the page's. */
  #offset = 0;
  /** Where the right edge stopped when the stream did. */
  #frozen = null;

  /** @type {'history'|'scope'} */
  view = 'history';

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#dress());
    this.#fit();
  }

  #fit() {
    const scale = devicePixelRatio || 1;
    this.#scale = scale;
    this.#canvas.width = Math.max(1, Math.round(this.#canvas.clientWidth * scale));
    this.#canvas.height = Math.max(1, Math.round(this.#canvas.clientHeight * scale));
    this.#dress();
  }

  #dress() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['a', 'b', 'line', 'quiet', 'warn', 'trough', 'panel']) {
      this.#colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
    const tile = new OffscreenCanvas(8, 8);
    const pen = tile.getContext('2d');
    pen.strokeStyle = this.#colours.warn;
    pen.globalAlpha = 0.45;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const x of [-8, 0, 8]) {
      pen.moveTo(x, 8);
      pen.lineTo(x + 8, 0);
    }
    pen.stroke();
    this.#hatch = this.#context.createPattern(tile, 'repeat');
  }

  /**
   * A block.
   * @param {import('./talas-client.js').AudioFrame} frame
   * @param {number} captureRate frames per second in which positions count
   * @param {number} now ms of the page's clock
   */
  push(frame, captureRate, now) {
    if (captureRate !== this.#rate || (this.#end !== null && frame.position < this.#end - captureRate)) {
      this.#begin(captureRate);
    }
    const step = captureRate / frame.sample_rate;
    const channels = [frame.channel_a, frame.channel_b];
    for (let n = 0; n < channels[0].length; n++) {
      const at = this.#history.open(Math.floor((frame.position + n * step) / this.#binFrames), SOUND);
      for (const channel of [0, 1]) {
        const sample = channels[channel][n];
        if (sample < this.#history.low[channel][at]) this.#history.low[channel][at] = sample;
        if (sample > this.#history.high[channel][at]) this.#history.high[channel][at] = sample;
      }
    }
    this.#recent.push(channels, frame.sample_rate);
    this.#end = frame.position + channels[0].length * step;
    this.#follow(now);
  }

  #begin(captureRate) {
    this.#rate = captureRate;
    this.#binFrames = Math.ceil((captureRate * SHOWN_S) / (BINS - 64));
    this.#history.clear();
    this.#recent.clear();
    this.#end = null;
    this.#offset = Infinity;
  }

  #follow(now) {
    const offset = this.#end / this.#rate - now / 1000;
    const away = offset - this.#offset;
    this.#offset = Math.abs(away) < JUMP_S ? this.#offset + away * FOLLOW : offset;
    this.#frozen = null;
  }

  /** Sound that is missing, from where the newest block ended. */
  gap(lost) {
    this.#recent.clear();
    if (this.#end === null) return;
    const from = Math.floor(this.#end / this.#binFrames);
    this.#end += lost;
    const to = Math.floor(this.#end / this.#binFrames);
    for (let number = Math.max(from, to - BINS + 1); number <= to; number++) this.#history.open(number, GAP);
  }

  /** No stream: time stands still. */
  freeze(now) {
    if (this.#frozen === null && this.#end !== null) this.#frozen = this.#edge(now);
  }

  /** Nothing of what was heard stays in sight. */
  clear() {
    this.#history.clear();
    this.#recent.clear();
  }

  /** Position at the right edge. */
  #edge(now) {
    return this.#frozen ?? (now / 1000 + this.#offset - BEHIND_S) * this.#rate;
  }

  /** @param {number} now ms */
  draw(now) {
    // A window moved to another screen keeps its size: no observer tells.
    if (this.#scale !== (devicePixelRatio || 1)) this.#fit();
    const { width, height } = this.#canvas;
    const pen = this.#context;
    pen.clearRect(0, 0, width, height);
    this.#grid(width, height);
    if (this.#end === null) return;
    for (const channel of [0, 1]) {
      pen.fillStyle = pen.strokeStyle = channel === 0 ? this.#colours.a : this.#colours.b;
      const lane = { middle: height * (channel === 0 ? 0.25 : 0.75), reach: height * 0.235 };
      if (this.view === 'scope') this.#trace(channel, lane, width);
      else this.#envelope(channel, lane, width, this.#edge(now));
    }
    if (this.view === 'history') this.#gaps(width, height, this.#edge(now));
  }

  #grid(width, height) {
    const pen = this.#context;
    const scale = this.#scale;
    pen.fillStyle = this.#colours.line;
    for (const y of [0.25, 0.75]) pen.fillRect(0, Math.round(height * y), width, scale);
    pen.globalAlpha = 0.5;
    for (let n = 1; n < 10; n++) pen.fillRect(Math.round((width * n) / 10), 0, scale, height);
    pen.globalAlpha = 1;
    pen.fillRect(0, Math.round(height / 2), width, scale);
    pen.fillStyle = this.#colours.quiet;
    pen.font = `${11 * scale}px system-ui, sans-serif`;
    pen.textBaseline = 'bottom';
    const [from, unit] = this.view === 'scope' ? [SCOPE_S * 1000, 'ms'] : [SHOWN_S, 's'];
    for (const n of [2, 4, 6, 8]) {
      pen.fillText(`−${(from * (10 - n)) / 10} ${unit}`, (width * n) / 10 + 4 * scale, height - 2 * scale);
    }
  }

  /** Calls back with each run of bins of one kind: numbers from and to, the latter included. */
  #runs(edge, wanted, each) {
    const last = Math.floor(edge / this.#binFrames);
    const first = Math.floor((edge - SHOWN_S * this.#rate) / this.#binFrames);
    let begun = null;
    for (let number = first; number <= last + 1; number++) {
      const isWanted = number <= last && this.#history.kindOf(number) === wanted;
      if (isWanted && begun === null) begun = number;
      if (!isWanted && begun !== null) {
        each(begun, number - 1);
        begun = null;
      }
    }
  }

  #x(number, edge, width) {
    return width - ((edge - number * this.#binFrames) / (SHOWN_S * this.#rate)) * width;
  }

  #envelope(channel, lane, width, edge) {
    const pen = this.#context;
    const least = this.#scale * 0.75;
    const low = this.#history.low[channel];
    const high = this.#history.high[channel];
    this.#runs(edge, SOUND, (from, to) => {
      pen.beginPath();
      for (let number = from; number <= to; number++) {
        const y = lane.middle - Math.min(1, high[number % BINS]) * lane.reach - least;
        pen.lineTo(this.#x(number, edge, width), y);
      }
      for (let number = to; number >= from; number--) {
        const y = lane.middle - Math.max(-1, low[number % BINS]) * lane.reach + least;
        pen.lineTo(this.#x(number, edge, width), y);
      }
      pen.fill();
    });
  }

  #gaps(width, height, edge) {
    const pen = this.#context;
    this.#runs(edge, GAP, (from, to) => {
      const x = this.#x(from, edge, width);
      const wide = Math.max(2, this.#x(to + 1, edge, width) - x);
      pen.fillStyle = this.#hatch;
      pen.fillRect(x, 0, wide, height);
      pen.fillStyle = this.#colours.warn;
      pen.fillRect(x, 0, this.#scale, height);
    });
  }

  /** The newest milliseconds, from a rising zero crossing of channel A so that a tone stands still. */
  #trace(channel, lane, width) {
    const pen = this.#context;
    const recent = this.#recent;
    const length = Math.round(recent.rate * SCOPE_S);
    let start = length;
    for (let back = length; back < length * 2; back++) {
      if (recent.back(0, back) >= 0 && recent.back(0, back + 1) < 0) {
        start = back;
        break;
      }
    }
    pen.lineWidth = 1.5 * this.#scale;
    pen.lineJoin = 'round';
    pen.beginPath();
    for (let n = 0; n <= length; n++) {
      const sample = Math.max(-1, Math.min(1, recent.back(channel, start - n)));
      pen.lineTo((n / length) * width, lane.middle - sample * lane.reach);
    }
    pen.stroke();
  }
}
