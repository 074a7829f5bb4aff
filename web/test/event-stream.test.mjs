import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStreamParser } from '../event-stream.js';

const TEXT =
  'retry: 2000\nid: abc\ndata: connected\n\n' +
  'event: audio-frame\r\nid: frame-7\r\ndata: {"x":1}\r\n\r\n' +
  ': a comment\rdata: one\rdata:two\rdata\r\r' +
  'id\ndata:  kept space\n\n' +
  'event: nothing\n\nid: bad\0id\ndata: last\n\n' +
  'data: never ended\n';

const EXPECTED = [
  { type: 'message', data: 'connected', lastEventId: 'abc' },
  { type: 'audio-frame', data: '{"x":1}', lastEventId: 'frame-7' },
  { type: 'message', data: 'one\ntwo\n', lastEventId: 'frame-7' },
  { type: 'message', data: ' kept space', lastEventId: '' },
  { type: 'message', data: 'last', lastEventId: '' },
];

test('reads every kind of line', () => {
  assert.deepEqual(new EventStreamParser().push(TEXT), EXPECTED);
  assert.deepEqual(new EventStreamParser().push('\uFEFF' + TEXT), EXPECTED);
});

test('pieces may be cut anywhere', () => {
  for (let cut = 0; cut <= TEXT.length; cut++) {
    const parser = new EventStreamParser();
    assert.deepEqual([...parser.push(TEXT.slice(0, cut)), ...parser.push(TEXT.slice(cut))], EXPECTED, `cut at ${cut}`);
  }
  const parser = new EventStreamParser();
  assert.deepEqual([...TEXT].flatMap((character) => parser.push(character)), EXPECTED);
});

test('keeps the id that it was resumed with', () => {
  const [event] = new EventStreamParser('frame-3').push('data: x\n\n');
  assert.equal(event.lastEventId, 'frame-3');
});

test('does not grow without end', () => {
  const parser = new EventStreamParser();
  const piece = 'x'.repeat(1024 * 1024);
  assert.throws(() => {
    for (let n = 0; n < 10; n++) parser.push(piece);
  }, RangeError);
  const lines = new EventStreamParser();
  assert.throws(() => {
    for (let n = 0; n < 10; n++) lines.push(`data: ${piece}\n`);
  }, RangeError);
});
