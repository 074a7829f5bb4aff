// The page: shows what the one stream tells, and hands its controls to the daemon.

import { Level } from './levels.js';
import { Listening } from './listening.js';
import { AudioStreamClient, RequestError } from './talas-client.js';
import { Waveform } from './waveform.js';

const STATS_EVERY_MS = 3000;
const TOKEN_KEY = 'talas-token';
/** Gaps in the list; the count goes on. */
const GAPS_SHOWN = 100;
/** Levels as text change this often: faster cannot be read. */
const TEXT_EVERY_MS = 150;
const FLOOR_DBFS = -60;

const find = (selector) => document.querySelector(selector);
const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
/** Where a reader wants less motion, pictures change a few times a second. */
const lessMotion = matchMedia('(prefers-reduced-motion: reduce)');
const STILL_EVERY_MS = 250;

const REASONS = {
  overrun: 'buffer overrun',
  suspend: 'suspended',
  stalled: 'device stalled',
  absent: 'device absent',
  paused: 'paused',
  ring_full: 'daemon overloaded',
  slow_listener: 'this page too slow',
  restart: 'daemon restarted',
  disconnected: 'away too long',
};

/** The stream; exported for the console of the browser. */
export const client = new AudioStreamClient('', sessionStorage.getItem(TOKEN_KEY), { encoding: 'f32' });
export const listening = new Listening(client);
export const { player } = listening;
// Somebody watches: giving up is no use to them.
client.maxReconnectAttempts = Infinity;
client.maxReconnectDelay = 15_000;

const waveform = new Waveform(find('#wave'));
const meters = [find('#meter-a'), find('#meter-b')].map((element) => ({
  level: new Level(),
  bar: element.querySelector('.bar'),
  value: element.querySelector('.value'),
  clip: element.querySelector('.clip'),
}));
/** The programme's state; null without a connection. */
let programme = null;
/** What keeps the stream away: `{title, text, until}`; null while it runs. */
let trouble = { title: 'Connecting', text: '' };
let gapCount = 0;

// ---- state

function showState() {
  const state = trouble ? (trouble.retryAt || trouble.isFinal ? 'lost' : 'connecting') : (programme?.state ?? 'connecting');
  const names = { lost: 'Disconnected', connecting: 'Connecting' };
  find('#state').dataset.state = state;
  find('#state-name').textContent = names[state] ?? state[0].toUpperCase() + state.slice(1);
  const more = [];
  if (!trouble && programme) {
    if (programme.reason) more.push(programme.reason);
    more.push(`since ${clockTime(programme.since)}`);
  }
  const text = more.join(' · ');
  find('#state-more').textContent = text;
  find('#state-more').title = text;
  find('#pause').textContent = programme?.state === 'paused' ? 'Resume' : 'Pause';
  find('#pause').disabled = find('#quality').disabled = Boolean(trouble);
  document.title = state === 'running' ? 'Talas' : `${find('#state-name').textContent} – Talas`;
  showVeil();
  showPlayer();
}

const QUIET_STATES = {
  paused: ['Private', 'Paused: nothing is captured, nothing is kept, nothing is sent. Listeners hear silence.'],
  absent: ['No device', 'It is taken up again as soon as it is back.'],
  stalled: ['No sound', 'The device is there and delivers nothing. It is being opened again.'],
  starting: ['Starting', 'The device is being opened.'],
  stopping: ['Stopping', 'The daemon is about to end.'],
};

function showVeil() {
  const quiet = QUIET_STATES[programme?.state];
  const veil = find('#veil');
  veil.hidden = !trouble && !quiet;
  if (veil.hidden) return;
  const reason = !trouble && programme.reason && programme.state !== 'paused' ? `${programme.reason}. ` : '';
  find('#veil-title').textContent = trouble ? trouble.title : quiet[0];
  find('#veil-text').textContent = trouble ? troubleText() : reason + quiet[1];
  find('#lock').toggleAttribute('hidden', Boolean(trouble) || programme.state !== 'paused');
  find('#retry').hidden = !trouble?.retryAt && !trouble?.isFinal;
  find('#token-form').hidden = !trouble?.needsToken;
}

function troubleText() {
  if (!trouble.retryAt) return trouble.text;
  const seconds = Math.max(0, Math.ceil((trouble.retryAt - Date.now()) / 1000));
  return `${trouble.text} Next attempt in ${seconds} s.`;
}

// ---- the stream

client.onConnect = () => {
  trouble = null;
  showState();
  refreshStats();
};

client.onState = (state) => {
  programme = state;
  if (state.state !== 'running') meters.forEach(({ level }) => level.silence());
  if (state.state === 'paused') waveform.clear();
  showState();
};

client.onFrame = (frame) => {
  const now = performance.now();
  const captureRate = client.captureRate ?? frame.sample_rate;
  waveform.push(frame, captureRate, now);
  const seconds = frame.duration_ms / 1000;
  meters[0].level.push(frame.channel_a, seconds, now);
  meters[1].level.push(frame.channel_b, seconds, now);
  listening.frame(frame);
  showFormat(frame.sample_rate, captureRate);
};

let format = '';
function showFormat(sampleRate, captureRate) {
  const text = sampleRate === captureRate
    ? `${captureRate / 1000} kHz`
    : `${sampleRate / 1000} of ${captureRate / 1000} kHz`;
  if (text === format) return;
  format = text;
  find('#format').textContent = text;
  const chosen = document.querySelector(`[name=quality][value="${sampleRate / captureRate}"]`);
  if (chosen) chosen.checked = true;
}

client.onGap = (gap) => {
  waveform.gap(gap.lost_samples);
  if (client.captureRate) listening.gap(gap.lost_samples / client.captureRate);
  gapCount++;
  find('#gap-count').textContent = `${gapCount} since this page was opened`;
  const seconds = client.captureRate ? gap.lost_samples / client.captureRate : NaN;
  const row = find('#gaps').insertRow(0);
  const cell = (text, isNumber) => {
    const made = row.insertCell();
    made.textContent = text;
    if (isNumber) made.className = 'number';
  };
  cell(clockTime(gap.timestamp));
  cell(REASONS[gap.reason] ?? gap.reason);
  cell(duration(seconds), true);
  cell(gap.lost_samples.toLocaleString('en'), true);
  if (find('#gaps').rows.length > GAPS_SHOWN) find('#gaps').deleteRow(-1);
};

function lost(next) {
  const now = performance.now();
  programme = null;
  waveform.freeze(now);
  meters.forEach(({ level }) => level.silence());
  trouble = next;
  showState();
}

client.onReconnect = ({ attempt, delayMs, error }) => {
  const why = error instanceof RequestError ? error.message : 'The daemon does not answer.';
  const text = attempt === 1 ? 'What was missed is asked for.' : `${why} Attempt ${attempt}.`;
  lost({ title: 'Connection lost', text, retryAt: Date.now() + delayMs });
};

client.onDisconnect = (error) => {
  const needsToken = error instanceof RequestError && error.status === 401;
  lost({ title: needsToken ? 'Locked' : 'Refused', text: error.message, needsToken, isFinal: true });
};

find('#retry').addEventListener('click', () => {
  trouble = { title: 'Connecting', text: '' };
  showState();
  client.connect();
});

find('#token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  client.authToken = find('#token').value.trim();
  sessionStorage.setItem(TOKEN_KEY, client.authToken);
  find('#token').value = '';
  find('#retry').click();
});

addEventListener('online', () => {
  if (trouble?.retryAt) client.connect();
});

// ---- controls

async function command(action, params) {
  try {
    const { message } = await client.sendCommand(action, params);
    find('#said').textContent = message;
  } catch (error) {
    find('#said').textContent = error instanceof RequestError ? error.message : 'The daemon does not answer.';
    format = '';
  }
}

find('#pause').addEventListener('click', () => command(programme?.state === 'paused' ? 'resume' : 'pause'));

find('#quality').addEventListener('change', (event) => {
  command('adjust_quality', { quality: Number(event.target.value) });
});

find('#view').addEventListener('change', (event) => {
  waveform.view = event.target.value;
});

find('#listen').addEventListener('click', async () => {
  if (listening.isOpen) {
    await listening.close();
  } else {
    try {
      await listening.open();
    } catch (error) {
      await listening.close();
      find('#said').textContent = `The browser gives no sound: ${error.message}`;
    }
  }
  showPlayer();
});

// The ear hears ratios: the square makes the middle of the slider half as loud, roughly.
const setVolume = () => {
  player.volume = (find('#volume').value / 100) ** 2;
};
find('#volume').addEventListener('input', setVolume);
setVolume();

let contextState = '';
listening.onChange = () => showPlayer();
player.onContextState = (state) => {
  contextState = state;
  showPlayer();
};

function showPlayer() {
  find('#listen').setAttribute('aria-pressed', String(player.isOpen));
  find('#listen span').textContent = player.isOpen ? 'Stop' : 'Listen';
  find('#player').textContent = playerText();
}

function playerText() {
  if (!player.isOpen) return 'Not playing';
  if (contextState === 'suspended' || contextState === 'interrupted') return 'Held back by the browser';
  if (trouble) return 'Silence: no connection';
  if (programme && programme.state !== 'running') return `Silence: ${programme.state}`;
  if (!player.report?.isPlaying) return 'Filling the buffer';
  const { fillS, ratio, underruns } = player.report;
  const { delayMs } = listening;
  const ppm = Math.round((ratio - 1) * 1e6);
  const parts = [`Buffer ${(fillS * 1000).toFixed(0)} ms`, `${ppm < 0 ? '−' : '+'}${Math.abs(ppm)} ppm`];
  // What is heard now was captured so long ago.
  if (delayMs !== null) parts.unshift(`Delay ${delayMs.toFixed(0)} ms`);
  if (underruns > 0) parts.push(`${underruns} late`);
  return parts.join(' · ');
}

for (const [n, { level, clip }] of meters.entries()) {
  clip.addEventListener('click', () => {
    level.reset();
    showClip(n);
  });
}

// ---- statistics

function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 && !Number.isInteger(seconds) ? 2 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function showStats(stats) {
  const shown = {
    fps: stats.frames_per_second.toFixed(1),
    listeners: String(stats.connection_count),
    latency: `${stats.average_latency_ms.toFixed(1)} ms`,
    bandwidth: `${stats.bandwidth_usage_mbps.toFixed(2)} Mbit/s`,
    dropped: `${stats.dropped_frames.toLocaleString('en')} (${stats.error_rate_percent.toFixed(2)} %)`,
    cpu: `${stats.cpu_usage.toFixed(1)} %`,
    memory: `${(stats.memory_usage.used_bytes / 2 ** 20).toFixed(1)} MiB`,
    uptime: duration(stats.uptime_seconds),
  };
  for (const [name, text] of Object.entries(shown)) find(`[data-stat=${name}]`).textContent = text;
  find('#stats-age').textContent = `at ${clockTime(Date.now())}`;
}

let statsTimer;
async function refreshStats() {
  clearTimeout(statsTimer);
  // Without a stream there is nobody to ask, and nobody looks at a hidden page.
  if (!trouble && !document.hidden) {
    try {
      showStats(await client.getStats());
    } catch {
      find('#stats-age').textContent = 'not answered';
    }
  }
  clearTimeout(statsTimer);
  statsTimer = setTimeout(refreshStats, STATS_EVERY_MS);
}

// ---- pictures

const share = (dbfs) => Math.max(0, Math.min(1, 1 - dbfs / FLOOR_DBFS));
const levelText = (dbfs) => (dbfs < -99 ? '−∞' : dbfs.toFixed(1).replace('-', '−'));

function showClip(n) {
  const { level, clip } = meters[n];
  const name = 'AB'[n];
  const isOn = level.clipped > 0;
  if (clip.classList.contains('on') === isOn) return;
  clip.classList.toggle('on', isOn);
  clip.title = isOn ? 'Clipped: press to reset' : 'No clipping seen';
  clip.setAttribute('aria-label', isOn ? `Channel ${name} clipped: press to reset` : `Channel ${name} has not clipped`);
}

let textAt = 0;
function showMeters(now) {
  const isTextDue = now - textAt >= TEXT_EVERY_MS;
  if (isTextDue) textAt = now;
  meters.forEach(({ level, bar, value }, n) => {
    const { rms, peak, held } = level.read(now);
    const [rmsCover, peakCover, hold] = bar.children;
    rmsCover.style.setProperty('--cover', 1 - share(rms));
    peakCover.style.setProperty('--cover', 1 - share(peak));
    hold.style.setProperty('--hold', held > FLOOR_DBFS ? `calc(${share(held) * 100}% - 2px)` : '-1%');
    if (!isTextDue) return;
    value.textContent = levelText(held);
    bar.setAttribute('aria-valuenow', Math.round(Math.max(FLOOR_DBFS, rms)));
    showClip(n);
  });
}

let drawnAt = 0;
let countedAt = 0;
function draw(now) {
  requestAnimationFrame(draw);
  if (lessMotion.matches && now - drawnAt < STILL_EVERY_MS) return;
  drawnAt = now;
  waveform.draw(now);
  showMeters(now);
  if (trouble?.retryAt && now - countedAt > STILL_EVERY_MS) {
    countedAt = now;
    find('#veil-text').textContent = troubleText();
  }
}

showState();
client.connect();
statsTimer = setTimeout(refreshStats, STATS_EVERY_MS);
requestAnimationFrame(draw);
