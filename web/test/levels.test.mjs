import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Level, toDbfs } from '../levels.js';

const sine = (amplitude) => Float32Array.from({ length: 960 }, (_, n) => amplitude * Math.sin((2 * Math.PI * n) / 48));

const near = (value, wanted, within = 0.1) =>
  assert.ok(Math.abs(value - wanted) < within, `${value} instead of ${wanted}`);

test('a sine of half amplitude is 6 dB down, its RMS 3 dB more', () => {
  const level = new Level();
  for (let now = 0; now < 3000; now += 20) level.push(sine(0.5), 0.02, now);
  const { rms, peak, held } = level.read(2980);
  near(rms, -9.03);
  near(peak, -6.02);
  near(held, -6.02);
  assert.equal(level.clipped, 0);
});

test('the peak falls 20 dB a second and is held before', () => {
  const level = new Level();
  level.push(sine(1), 0.02, 0);
  for (let now = 20; now <= 1000; now += 20) level.push(sine(0.001), 0.02, now);
  near(level.read(1000).peak, -20);
  near(level.read(1000).held, 0);
  level.push(sine(0.001), 0.02, 1600);
  near(level.read(1600).held, -60);
});

test('clipping is remembered until it is reset, also through silence', () => {
  const level = new Level();
  level.push([0, 32_767 / 32_768, -1, 0.5], 0.02, 0);
  level.silence();
  assert.equal(level.clipped, 2);
  assert.equal(level.read(1).peak, -Infinity);
  level.reset();
  assert.equal(level.clipped, 0);
});

test('silence is minus infinity', () => assert.equal(toDbfs(0), -Infinity));
