import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JitterBuffer } from '../jitter-buffer.js';

const QUANTUM = 128;

/** A tone in blocks, as a card with this rate makes it. */
class Card {
  #n = 0;

  constructor(rate, hz = 1000, level = 0.5) {
    Object.assign(this, { rate, hz, level });
  }

  block(length = 1024) {
    const samples = Float32Array.from({ length }, () => this.level * Math.sin((2 * Math.PI * this.hz * this.#n++) / this.rate));
    return [samples, samples.slice(), this.rate];
  }

  skip(length) {
    this.#n += length;
  }
}

/** Card and browser run side by side; returns what came out of the left. */
function play(buffer, card, { seconds, outputRate, cardSpeed = 1, onBlock = () => true, each = () => {} }) {
  const out = [];
  let owed = 0;
  for (let played = 0; played < seconds * outputRate; played += QUANTUM) {
    owed += (QUANTUM / outputRate) * card.rate * cardSpeed;
    for (; owed >= 1024; owed -= 1024) {
      if (onBlock(played / outputRate)) buffer.push(...card.block());
    }
    const left = new Float32Array(QUANTUM);
    const right = new Float32Array(QUANTUM);
    buffer.pull(left, right);
    assert.deepEqual(left, right);
    out.push(...left);
    each(played / outputRate);
  }
  return out;
}

/** The best sine of this frequency is taken out; what is left, against it, in dB. */
function noiseDb(samples, hz, rate) {
  let re = 0;
  let im = 0;
  samples.forEach((x, n) => {
    re += x * Math.cos((2 * Math.PI * hz * n) / rate);
    im += x * Math.sin((2 * Math.PI * hz * n) / rate);
  });
  re *= 2 / samples.length;
  im *= 2 / samples.length;
  let signal = 0;
  let noise = 0;
  samples.forEach((x, n) => {
    const fit = re * Math.cos((2 * Math.PI * hz * n) / rate) + im * Math.sin((2 * Math.PI * hz * n) / rate);
    signal += fit * fit;
    noise += (x - fit) ** 2;
  });
  return 10 * Math.log10(noise / signal);
}

const largestStep = (samples) => samples.reduce((most, x, n) => (n ? Math.max(most, Math.abs(x - samples[n - 1])) : 0), 0);

for (const [from, to, hz, limit] of [
  [48_000, 48_000, 1000, -70],
  [48_000, 44_100, 1000, -70],
  [44_100, 48_000, 10_000, -60],
  [6_000, 48_000, 2_000, -60],
  [96_000, 44_100, 1000, -60],
]) {
  test(`${hz} Hz at ${from} comes out clean at ${to}`, () => {
    const buffer = new JitterBuffer(to);
    // Without adaption: the ratio would move the tone by some parts per million against the fit.
    Object.defineProperty(buffer, 'ratio', { get: () => 1, set: () => {} });
    const out = play(buffer, new Card(from, hz), { seconds: 1.5, outputRate: to });
    const db = noiseDb(out.slice(to), hz, to);
    assert.ok(db < limit, `noise at ${db.toFixed(1)} dB`);
  });
}

test('what lies above half the output rate does not fold back', () => {
  const buffer = new JitterBuffer(44_100);
  const out = play(buffer, new Card(96_000, 30_000, 1), { seconds: 1, outputRate: 44_100 });
  const rms = Math.sqrt(out.slice(22_050).reduce((sum, x) => sum + x * x, 0) / 22_050);
  assert.ok(20 * Math.log10(rms) < -60, `${20 * Math.log10(rms)} dB`);
});

for (const ppm of [-300, 0, 300]) {
  test(`a card that is ${ppm} ppm off neither drains nor fills the buffer`, () => {
    const buffer = new JitterBuffer(48_000);
    let least = Infinity;
    let most = 0;
    play(buffer, new Card(48_000), {
      seconds: 120,
      outputRate: 48_000,
      cardSpeed: 1 + ppm / 1e6,
      each: (at) => {
        if (at < 1) return;
        least = Math.min(least, buffer.fillS);
        most = Math.max(most, buffer.fillS);
      },
    });
    assert.equal(buffer.underruns, 0);
    assert.equal(buffer.skippedS, 0);
    assert.ok(least > 0.1 && most < 0.2, `between ${least} and ${most} s`);
    assert.ok(Math.abs((buffer.ratio - 1) * 1e6 - ppm) < 150, `${(buffer.ratio - 1) * 1e6} ppm`);
  });
}

test('silence until the buffer is full, then sound that fades in', () => {
  const buffer = new JitterBuffer(48_000);
  const out = play(buffer, new Card(48_000, 1000, 1), { seconds: 0.4, outputRate: 48_000 });
  const begin = out.findIndex((x) => x !== 0) / 48_000;
  assert.ok(begin > 0.13 && begin < 0.2, `begins after ${begin} s`);
  assert.ok(largestStep(out) < 0.15, 'no click');
});

/** A short burst comes out so long after the card made it. */
function delayAfter(prepare) {
  const buffer = new JitterBuffer(48_000);
  const card = new Card(48_000, 1000, 0.1);
  let burstAt = null;
  const out = play(buffer, card, {
    seconds: 4,
    outputRate: 48_000,
    onBlock: (at) => {
      card.level = at > 3 && burstAt === null ? 1 : 0.1;
      if (card.level === 1) burstAt = at;
      return prepare(buffer, card, at);
    },
  });
  return { delay: out.findIndex((x) => Math.abs(x) > 0.5) / 48_000 - burstAt, out, buffer };
}

test('time stays true across gaps short and long', () => {
  const { delay: steady } = delayAfter(() => true);
  for (const length of [0.03, 0.1, 0.7, 1.5]) {
    let lost = 0;
    const { delay, out, buffer } = delayAfter((own, card, at) => {
      if (at > 1 && at < 1 + length) {
        card.skip(1024);
        lost += 1024;
        return false;
      }
      // The gap is told with the first block after it.
      if (lost > 0) own.gap(lost / 48_000);
      lost = 0;
      return true;
    });
    assert.ok(Math.abs(delay - steady) < 0.03, `${length} s: ${delay} s late, without a gap ${steady} s`);
    assert.equal(buffer.underruns, 0, 'a gap is not the network’s fault');
    assert.ok(largestStep(out.slice(0, 48_000 * 2.9)) < 0.03, `${length} s: no click`);
  }
});

test('what a hold-up delivers late is skipped, and more is kept ready', () => {
  const held = [];
  const { delay, buffer } = delayAfter((own, card, at) => {
    if (at > 1 && at < 2) {
      held.push(card.block());
      return false;
    }
    while (held.length) own.push(...held.shift());
    return true;
  });
  assert.equal(buffer.underruns, 1);
  assert.ok(buffer.skippedS > 0.5, `${buffer.skippedS} s skipped`);
  assert.ok(Math.abs(buffer.targetS - 0.2) < 1e-9);
  assert.ok(delay < 0.35, `${delay} s late`);
});

test('the buffer is bounded whatever comes', () => {
  const buffer = new JitterBuffer(48_000);
  const card = new Card(48_000);
  for (let n = 0; n < 2000; n++) {
    buffer.push(...card.block());
    buffer.gap(n % 3 ? 0.001 : 1e9);
    assert.ok(buffer.fillS < 0.6);
  }
  buffer.push(new Float32Array(0), new Float32Array(0), 48_000);
  assert.ok(Number.isFinite(buffer.fillS));
});

test('rates may change from block to block', () => {
  const buffer = new JitterBuffer(48_000);
  const cards = [48_000, 6_000, 24_000, 12_000].map((rate) => new Card(rate, 300));
  let turn = 0;
  let owed = 0;
  for (let n = 0; n < 3000; n++) {
    owed += QUANTUM / 48_000;
    while (owed > 1024 / 48_000) {
      const card = cards[(turn++ >> 3) % 4];
      buffer.push(...card.block((1024 * card.rate) / 48_000));
      owed -= 1024 / 48_000;
    }
    const left = new Float32Array(QUANTUM);
    buffer.pull(left, new Float32Array(QUANTUM));
    assert.ok(left.every((x) => Math.abs(x) < 0.7));
  }
  assert.equal(buffer.underruns, 0);
});

test('knows when the sound that comes next was captured', () => {
  const buffer = new JitterBuffer(48_000, 0.05);
  assert.equal(buffer.capturedMs, null);
  const push = (at) => buffer.push(new Float32Array(480), new Float32Array(480), 48_000, 1000 + at * 10);
  for (let n = 0; n < 10; n++) push(n);
  const out = new Float32Array(720);
  buffer.pull(out, new Float32Array(720));
  assert.ok(Math.abs(buffer.capturedMs - 1015) < 0.5, `${buffer.capturedMs}`);
  buffer.gap(0.01);
  for (let n = 0; n < 8; n++) buffer.pull(out, new Float32Array(720));
  assert.equal(buffer.capturedMs, null, 'what comes next is silence');
  buffer.push(new Float32Array(4800), new Float32Array(4800), 48_000);
  assert.equal(buffer.capturedMs, null, 'nobody said when');
});

test('another stream begins with a buffer of its own length', () => {
  const buffer = new JitterBuffer(48_000, 0.15);
  const tone = new Card(48_000, 1000);
  play(buffer, tone, { seconds: 0.5, outputRate: 48_000 });
  assert.equal(buffer.isPlaying, true);
  buffer.restart(0.05);
  assert.deepEqual([buffer.isPlaying, buffer.fillS, buffer.targetS], [false, 0, 0.05]);
  const out = play(buffer, tone, { seconds: 0.5, outputRate: 48_000 });
  assert.ok(buffer.fillS < 0.12 && buffer.isPlaying, `${buffer.fillS} s`);
  assert.ok(largestStep(out.slice(4800)) < 0.15, 'no click');
  assert.equal(buffer.underruns, 0);
});

test('a target that an underrun made longer becomes shorter again, without a click', () => {
  const buffer = new JitterBuffer(48_000, 0.06);
  const card = new Card(48_000, 1000, 0.5);
  play(buffer, card, { seconds: 3, outputRate: 48_000, onBlock: (at) => at < 1 || at > 1.2 });
  const { targetS, fillS } = buffer;
  assert.ok(buffer.underruns > 0 && targetS > 0.1, `${targetS} s`);
  const out = play(buffer, card, { seconds: 31, outputRate: 48_000 });
  assert.ok(Math.abs(buffer.targetS - (targetS - 0.01)) < 1e-9, `${buffer.targetS} s`);
  assert.ok(buffer.fillS < fillS + 0.02, `${buffer.fillS} s`);
  assert.ok(largestStep(out) < 0.08, 'no click');
});
