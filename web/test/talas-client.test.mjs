import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { AudioStreamClient, RequestError, decodeFrame } from '../talas-client.js';

const frame = (number, more = {}) => ({
  channel_a: [0.5, -0.5, 0.25],
  channel_b: [0, 1, -1],
  sample_rate: 48_000,
  timestamp: 1_700_000_000_000,
  frame_number: number,
  duration_ms: 0.0625,
  position: number * 3,
  ...more,
});

const event = (type, data, id) => `event: ${type}\n${id ? `id: ${id}\n` : ''}data: ${data}\n\n`;
const frameEvent = (number) => event('audio-frame', JSON.stringify(frame(number)), `frame-${number}`);
const CONNECTED = 'retry: 2000\nid: conn-1\ndata: connected\n\n';

/** A server whose answers are scripted: each request takes the next one. */
async function serve(t, ...answers) {
  const seen = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      (answers.shift() ?? ((_, last) => last.writeHead(410).end()))(request, response);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, seen };
}

const stream = (text, then = 'end') => (_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write(text);
  if (then === 'end') response.end();
};
const refuse = (status, problem, headers = {}) => (_, response) => {
  response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers }).end(JSON.stringify(problem));
};

/** A client that keeps what it hears, and gives up at once unless told otherwise. */
function listen(t, url, options, token = null) {
  const client = new AudioStreamClient(url, token, options);
  const heard = [];
  for (const name of ['Frame', 'Gap', 'State', 'Error', 'Connect', 'Reconnect', 'Disconnect', 'Heartbeat', 'Stats']) {
    client[`on${name}`] = (value) => heard.push([name, value]);
  }
  client.reconnectDelay = 5;
  t.after(() => client.disconnect());
  return { client, heard };
}

async function until(condition) {
  for (let n = 0; n < 500; n++) {
    if (condition()) return;
    await new Promise((done) => setTimeout(done, 5));
  }
  assert.fail(`waited in vain for ${condition}`);
}

const named = (heard, name) => heard.filter(([known]) => known === name).map(([, value]) => value);

test('has the founding defaults', () => {
  const client = new AudioStreamClient('http://host/', 'secret');
  assert.equal(client.baseUrl, 'http://host');
  assert.equal(client.authToken, 'secret');
  assert.deepEqual(
    [client.maxReconnectAttempts, client.reconnectDelay, client.maxBufferSize, client.reconnectAttempts],
    [5, 1000, 100, 0],
  );
  assert.deepEqual(client.audioBuffer, []);
  assert.equal(client.getLatestFrame(), undefined);
  assert.equal(client.isActive, false);
});

test('hears every kind of event', async (t) => {
  const gap = { from_frame: 2, to_frame: 4, lost_samples: 9, reason: 'overrun', timestamp: 1 };
  const state = { state: 'running', reason: null, since: 5 };
  const text =
    CONNECTED + event('state', JSON.stringify(state)) + frameEvent(0) + frameEvent(1) +
    event('gap', JSON.stringify(gap)) + event('heartbeat', 'heartbeat-1') + event('error', 'it broke');
  const { url, seen } = await serve(t, stream(text, 'open'));
  const { client, heard } = listen(t, url, { quality: 0.25, maxFps: 10 }, 'secret');
  client.connect();
  client.connect();
  await until(() => named(heard, 'Error').length === 1);
  assert.equal(seen.length, 1, 'connecting twice is one stream');
  assert.equal(seen[0].url, '/api/audio/stream?quality=0.25&max_fps=10');
  assert.equal(seen[0].headers.authorization, 'Bearer secret');
  assert.equal(seen[0].headers['last-event-id'], undefined);
  assert.deepEqual(named(heard, 'Connect'), [{ connectionId: 'conn-1', resumed: false }]);
  assert.deepEqual(named(heard, 'State'), [state]);
  assert.deepEqual(named(heard, 'Frame'), [frame(0), frame(1)]);
  assert.deepEqual(named(heard, 'Gap'), [gap]);
  assert.deepEqual(named(heard, 'Heartbeat'), ['heartbeat-1']);
  assert.equal(named(heard, 'Error')[0].message, 'it broke');
  assert.equal(client.captureRate, 48_000);
  assert.equal(client.connectionId, 'conn-1');
});

test('resumes where it broke, and counts attempts anew after success', async (t) => {
  const { url, seen } = await serve(
    t,
    stream(CONNECTED + frameEvent(7) + 'event: audio-frame\nid: frame-8\ndata: {"cut'),
    refuse(503, { code: 'unavailable', detail: 'not now' }),
    stream('id: conn-2\ndata: connected\n\n' + frameEvent(8), 'open'),
  );
  const { client, heard } = listen(t, url);
  client.connect();
  await until(() => named(heard, 'Frame').length === 2);
  assert.deepEqual(seen.map(({ headers }) => headers['last-event-id']), [undefined, 'frame-7', 'frame-7']);
  assert.deepEqual(named(heard, 'Reconnect').map(({ attempt, delayMs }) => [attempt, delayMs]), [[1, 5], [2, 10]]);
  assert.deepEqual(named(heard, 'Connect')[1], { connectionId: 'conn-2', resumed: true });
  assert.equal(client.reconnectAttempts, 0);
  client.disconnect();
  assert.deepEqual([client.isActive, client.audioBuffer.length], [false, 0]);
});

test('gives up after five attempts with doubling delays', async (t) => {
  const { client, heard } = listen(t, 'http://127.0.0.1:1');
  client.connect();
  await until(() => named(heard, 'Disconnect').length === 1);
  assert.deepEqual(named(heard, 'Reconnect').map(({ delayMs }) => delayMs), [5, 10, 20, 40, 80]);
  assert.equal(client.isActive, false);
  assert.equal(named(heard, 'Error').length, 6);
});

test('a refusal is final, and told in the words of the daemon', async (t) => {
  const { url } = await serve(t, refuse(401, { code: 'token_missing', detail: 'a token is needed' }));
  const { client, heard } = listen(t, url);
  client.connect();
  await until(() => named(heard, 'Disconnect').length === 1);
  const [error] = named(heard, 'Disconnect');
  assert.ok(error instanceof RequestError);
  assert.deepEqual([error.status, error.code, error.message], [401, 'token_missing', 'a token is needed']);
  assert.deepEqual(named(heard, 'Reconnect'), []);
});

test('waits as long as the daemon asks', async (t) => {
  const { url } = await serve(t, refuse(503, {}, { 'Retry-After': '3' }));
  const { client, heard } = listen(t, url);
  client.connect();
  await until(() => named(heard, 'Reconnect').length === 1);
  assert.equal(named(heard, 'Reconnect')[0].delayMs, 3000);
});

test('disconnect in a callback ends it there', async (t) => {
  const { url } = await serve(t, stream(CONNECTED + frameEvent(1) + frameEvent(2)));
  const { client, heard } = listen(t, url);
  client.onFrame = (value) => {
    heard.push(['Frame', value]);
    client.disconnect();
  };
  client.connect();
  await until(() => named(heard, 'Frame').length === 1);
  await new Promise((done) => setTimeout(done, 50));
  assert.equal(named(heard, 'Frame').length, 1);
  assert.deepEqual(named(heard, 'Error'), []);
  assert.equal(client.isActive, false);
});

test('a stranger’s nonsense is an error each, not the end', async (t) => {
  const nonsense = ['{', 'null', '{}', '!!!', '{"encoding":"f32"}', JSON.stringify(frame(1, { channel_b: [1] })),
    JSON.stringify(frame(1, { encoding: 'mp3' })), JSON.stringify(frame('1'))];
  const text = CONNECTED + nonsense.map((data) => event('audio-frame', data)).join('') + event('gap', '[') + frameEvent(9);
  const { url } = await serve(t, stream(text, 'open'));
  const { client, heard } = listen(t, url);
  client.connect();
  await until(() => named(heard, 'Frame').length === 1);
  assert.equal(named(heard, 'Error').length, nonsense.length + 1);
});

test('keeps the newest hundred blocks', async (t) => {
  const numbers = Array.from({ length: 130 }, (_, n) => n);
  const { url } = await serve(t, stream(CONNECTED + numbers.map(frameEvent).join(''), 'open'));
  const { client, heard } = listen(t, url);
  client.connect();
  await until(() => named(heard, 'Frame').length === 130);
  assert.equal(client.audioBuffer.length, 100);
  assert.equal(client.getLatestFrame().frame_number, 129);
  assert.equal(client.getFrameHistory().length, 10);
  assert.deepEqual(client.getFrameHistory(2).map((one) => one.frame_number), [128, 129]);
  assert.deepEqual(client.getFrameHistory(0), []);
});

test('decodes every encoding', async () => {
  const plain = frame(4);
  assert.deepEqual(await decodeFrame(JSON.stringify(plain)), plain);
  const floats = Buffer.from(new Float32Array(plain.channel_a).buffer).toString('base64');
  const f32 = await decodeFrame(JSON.stringify(frame(4, { encoding: 'f32', channel_a: floats, channel_b: floats })));
  assert.deepEqual(f32.channel_a, new Float32Array([0.5, -0.5, 0.25]));
  const shorts = Buffer.from(new Int16Array([16_384, -32_768, 1]).buffer).toString('base64');
  const s16 = await decodeFrame(JSON.stringify(frame(4, { encoding: 's16', channel_a: shorts, channel_b: shorts })));
  assert.deepEqual(s16.channel_b, new Float32Array([0.5, -1, 1 / 32_768]));
});

test('inflates', { skip: !canInflate() && 'this node has no raw deflate; the browser test covers it' }, async () => {
  const plain = frame(4);
  assert.deepEqual(await decodeFrame(deflateRawSync(JSON.stringify(plain)).toString('base64')), plain);
});

function canInflate() {
  try {
    return Boolean(new DecompressionStream('deflate-raw'));
  } catch {
    return false;
  }
}

test('asks for statistics and sends commands', async (t) => {
  const answer = (value) => (_, response) => response.end(JSON.stringify(value));
  const { url, seen } = await serve(
    t,
    answer({ total_frames: 3 }),
    answer({ success: true, message: 'Stream paused', timestamp: 1 }),
    refuse(400, { code: 'unknown_action', detail: 'action is pause, resume or adjust_quality' }),
  );
  const { client, heard } = listen(t, url, {}, 'secret');
  assert.deepEqual(await client.getStats(), { total_frames: 3 });
  assert.deepEqual(named(heard, 'Stats'), [{ total_frames: 3 }]);
  assert.equal((await client.sendCommand('pause')).message, 'Stream paused');
  await assert.rejects(client.sendCommand('dance', { fast: true }), { status: 400, code: 'unknown_action' });
  assert.equal(named(heard, 'Error').length, 1);
  assert.deepEqual(seen.map(({ method, url: path }) => `${method} ${path}`),
    ['GET /api/audio/stats', 'POST /api/audio/control', 'POST /api/audio/control']);
  assert.deepEqual(JSON.parse(seen[1].body), { action: 'pause', params: {} });
  assert.deepEqual(JSON.parse(seen[2].body), { action: 'dance', params: { fast: true } });
  assert.ok(seen.every(({ headers, url: path }) => headers.authorization === 'Bearer secret' && !path.includes('secret')));
});

test('root mean square', () => {
  const client = new AudioStreamClient();
  assert.equal(client.calculateRMS([0.5, -0.5]), 0.5);
  assert.equal(client.calculateRMS(new Float32Array([1, -1, 1, -1])), 1);
  for (const none of [[], undefined, null, 'abc', { length: 2 }]) assert.equal(client.calculateRMS(none), 0);
});

test('validates', () => {
  const client = new AudioStreamClient();
  assert.equal(client.validateFrame(frame(1)), true);
  const wrong = [null, undefined, 1, 'x', {}, frame(1, { channel_a: 'x' }), frame(1, { channel_a: [1] }),
    frame(1, { sample_rate: '48000' }), frame(1, { sample_rate: 0 }), frame(1, { timestamp: null }), frame(NaN)];
  for (const one of wrong) assert.equal(client.validateFrame(one), false, JSON.stringify(one));
});
