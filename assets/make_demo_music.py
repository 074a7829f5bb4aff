#!/usr/bin/env python3
"""Synthesise the dry tracks of the Talas demo recording.

Called by make-demo.sh; uses the standard library only.

    make_demo_music.py SPEECH_DIR OUT_DIR

SPEECH_DIR holds one 48 kHz mono 16-bit WAV per phrase of PHRASES (below).
OUT_DIR receives music.wav and voice.wav: 48 kHz, stereo, 32-bit, each exactly
one loop long. Whatever rings past the end of the loop is added to its start,
so a track played twice in a row has no seam. Every random number comes from a
generator with a fixed seed: the same input gives the same samples.
"""

import array
import math
import os
import random
import sys
import wave

RATE = 48000
BAR = 3 * RATE                  # four beats at 80 beats per minute
BARS = 8
LOOP = BARS * BAR               # 24 s
EIGHTH = BAR // 8

# name of the speech file, start in seconds, pan (-1 left .. +1 right), gain
PHRASES = [
    ("hello", 0.90, -0.22, 0.95),
    ("about", 3.25, -0.22, 0.95),
    ("left", 12.10, -1.00, 0.85),
    ("right", 13.35, 1.00, 0.85),
    ("both", 14.60, 0.00, 0.95),
    ("quiet", 16.30, -0.22, 0.80),
]

DUCK = 0.34                     # gain of the music under the voice
DUCK_RAMP = 0.30                # seconds

# Per bar: bass note, arpeggio notes from low to high (MIDI numbers).
CHORDS = [
    (36, (60, 64, 67, 71, 74)),  # C  maj9
    (45, (57, 60, 64, 67, 71)),  # A  m9
    (41, (57, 60, 64, 67, 72)),  # F  maj9
    (43, (55, 59, 62, 67, 69)),  # G  add9
    (40, (55, 59, 62, 64, 71)),  # E  m7
    (45, (57, 60, 64, 67, 72)),  # A  m7
    (38, (57, 60, 64, 65, 69)),  # D  m9, the quiet bar
    (43, (57, 60, 62, 65, 71)),  # G  9sus, leads back to C
]
PATTERN = (0, 2, 4, 1, 3, 2, 4, 3)   # which arpeggio note on each eighth

# Bell melody: start in eighths, MIDI number, loudness.
MELODY = [
    (0, 76, 0.55), (0, 84, 0.30), (20, 76, 0.80), (22, 79, 0.85), (24, 83, 1.00),
    (26, 81, 0.85), (28, 79, 0.90), (30, 74, 0.75), (32, 76, 0.50),
    (46, 72, 0.35), (58, 74, 0.60), (60, 77, 0.75), (62, 81, 0.85),
    (63, 83, 0.80),
]

# Loudness of all the music over time (seconds, gain), straight lines between.
FADER = [
    (0.0, 1.0), (16.6, 1.0), (18.0, 0.16), (18.8, 0.09), (20.4, 0.09),
    (21.4, 0.35), (22.8, 1.0), (24.0, 1.0),
]


def hertz(note):
    return 440.0 * 2.0 ** ((note - 69) / 12.0)


def pan_gains(pan):
    angle = (pan + 1.0) * math.pi / 4.0
    # cos(pi/2) is not exactly 0: keep a hard pan silent on the other side
    left, right = math.cos(angle), math.sin(angle)
    return (left if left > 1e-9 else 0.0, right if right > 1e-9 else 0.0)


class Track:
    """Two channels of one loop; writing past the end wraps to the start."""

    def __init__(self):
        self.left = [0.0] * LOOP
        self.right = [0.0] * LOOP

    def add(self, start, samples, gain_left, gain_right):
        for channel, gain in ((self.left, gain_left), (self.right, gain_right)):
            if gain == 0.0:
                continue
            at = start % LOOP
            for s in samples:
                channel[at] += gain * s
                at += 1
                if at == LOOP:
                    at = 0

    def add_panned(self, start, samples, pan, gain):
        left, right = pan_gains(pan)
        self.add(start, samples, left * gain, right * gain)


def pluck(freq, velocity, seconds, seed):
    """A plucked string: Karplus-Strong with an all-pass for exact tuning."""
    rng = random.Random(seed)
    period = RATE / freq
    whole = int(period - 0.5 - 0.3)
    fraction = period - 0.5 - whole
    coeff = (1.0 - fraction) / (1.0 + fraction)

    # The pick: noise, darker for softer notes, struck at 1/5 of the string.
    smooth = 0.12 + 0.28 * min(1.0, velocity)
    noise, low, lower = [], 0.0, 0.0
    for _ in range(whole * 2):
        low += smooth * (rng.uniform(-1.0, 1.0) - low)
        lower += 2.0 * smooth * (low - lower)
        noise.append(lower)
    noise = noise[whole:]
    offset = max(1, whole // 5)
    line = [noise[i] - 0.8 * noise[i - offset] for i in range(whole)]
    mean = sum(line) / whole
    line = [x - mean for x in line]
    power = math.sqrt(sum(x * x for x in line) / whole)
    line = [0.3 * x / power for x in line]

    decay = 0.001 ** (1.0 / (freq * (seconds * 1.15)))
    count = int(seconds * RATE)
    out = [0.0] * count
    at, previous, filtered, tuned = 0, 0.0, 0.0, 0.0
    for n in range(count):
        x = line[at]
        out[n] = x
        y = decay * 0.5 * (x + previous)
        previous = x
        tuned = coeff * (y - tuned) + filtered
        filtered = y
        line[at] = tuned
        at += 1
        if at == whole:
            at = 0
    attack, release = RATE // 700, RATE // 5
    for n in range(attack):
        out[n] *= n / attack
    for n in range(release):
        out[count - 1 - n] *= n / release
    return [velocity * x for x in out]


def bass(freq, seconds):
    count = int(seconds * RATE)
    step = 2.0 * math.pi * freq / RATE
    out = []
    for n in range(count):
        t = n / RATE
        envelope = min(1.0, t / 0.012) * math.exp(-t * 1.1)
        envelope *= min(1.0, (count - n) / (0.12 * RATE))
        bright = math.exp(-t * 4.0)
        p = step * n
        out.append(envelope * (math.sin(p) + (0.22 + 0.25 * bright) * math.sin(2 * p)
                               + (0.06 + 0.14 * bright) * math.sin(3 * p)))
    return out


def bell(freq, seconds):
    count = int(seconds * RATE)
    step = 2.0 * math.pi * freq / RATE
    out = []
    for n in range(count):
        t = n / RATE
        envelope = min(1.0, t / 0.006) * min(1.0, (count - n) / (0.2 * RATE))
        p = step * n
        out.append(envelope * (math.exp(-t * 2.0) * math.sin(p)
                               + 0.25 * math.exp(-t * 4.5) * math.sin(2.0 * p)
                               + 0.10 * math.exp(-t * 9.0) * math.sin(4.07 * p)))
    return out


def pad(freq, phase, seconds, attack, release):
    """A soft voice: four harmonics that open and close slowly."""
    count = int(seconds * RATE)
    step = 2.0 * math.pi * freq / RATE
    rise, fall = int(attack * RATE), int(release * RATE)
    out = []
    for n in range(count):
        envelope = 1.0
        if n < rise:
            envelope = 0.5 - 0.5 * math.cos(math.pi * n / rise)
        elif n >= count - fall:
            envelope = 0.5 - 0.5 * math.cos(math.pi * (count - n) / fall)
        p = step * n + phase
        open_ = 0.5 + 0.5 * math.sin(math.pi * n / count)
        out.append(envelope * (math.sin(p) + 0.40 * open_ * math.sin(2 * p)
                               + 0.16 * open_ * math.sin(3 * p)
                               + 0.06 * open_ * math.sin(4 * p)))
    return out


def line_at(points, t):
    for (t0, g0), (t1, g1) in zip(points, points[1:]):
        if t < t1:
            return g0 + (g1 - g0) * (t - t0) / (t1 - t0)
    return points[-1][1]


def echo(track, delay, feedback, gain):
    """Echoes that alternate between the sides, round the loop."""
    left, right = track.left[:], track.right[:]
    level = gain
    for k in range(1, 5):
        shift = (k * delay) % LOOP
        src_l, src_r = (right, left) if k % 2 else (left, right)
        src_l = src_l[-shift:] + src_l[:-shift]
        src_r = src_r[-shift:] + src_r[:-shift]
        track.left = [a + level * b for a, b in zip(track.left, src_l)]
        track.right = [a + level * b for a, b in zip(track.right, src_r)]
        level *= feedback


def compose():
    plucks, music = Track(), Track()
    rng = random.Random(1789)

    for number, (root, notes) in enumerate(CHORDS):
        start = number * BAR
        quiet = number == 6

        for eighth in range(8):
            if quiet and eighth % 2:
                continue
            note = notes[PATTERN[eighth]]
            velocity = (0.95, 0.6, 0.75, 0.62, 0.85, 0.6, 0.72, 0.64)[eighth]
            velocity *= rng.uniform(0.92, 1.08)
            # a few milliseconds of human hand, never before the beat
            at = start + eighth * EIGHTH + rng.randrange(0, RATE // 180)
            sound = pluck(hertz(note), velocity, 2.4, 1000 * number + eighth)
            pan = -0.85 + 0.10 * PATTERN[eighth]
            plucks.add_panned(at, sound, pan, 0.68)

        hits = [(0, 1.0, 2.3), (5, 0.55, 0.9)] if not quiet else [(0, 0.6, 2.6)]
        for eighth, gain, seconds in hits:
            music.add_panned(start + eighth * EIGHTH, bass(hertz(root), seconds),
                             0.08, 0.21 * gain)

        # each pad voice sits elsewhere, and is detuned between the two sides
        for voice, note in enumerate(notes[:4]):
            at = start - int(0.45 * RATE)
            length = BAR / RATE + 0.9
            spread = (-0.5, 0.7, -0.1, 0.9)[voice]
            cents = (4.0, 6.0, 5.0, 7.0)[voice]
            for side in (-1, 1):
                freq = hertz(note) * 2.0 ** (side * cents / 2400.0)
                sound = pad(freq, 1.7 * voice + 0.9 * side, length, 0.9, 0.9)
                weight = 0.042 * (1.0 + side * spread * 0.6)
                music.add(at, sound, weight if side < 0 else 0.0,
                          weight if side > 0 else 0.0)

    echo(plucks, 3 * EIGHTH // 2, 0.45, 0.30)

    bells = Track()
    for eighth, note, gain in MELODY:
        bells.add_panned(eighth * EIGHTH, bell(hertz(note), 2.2), 0.66, 0.20 * gain)
    echo(bells, EIGHTH * 2, 0.4, 0.22)

    for part in (plucks, bells):
        music.left = [a + b for a, b in zip(music.left, part.left)]
        music.right = [a + b for a, b in zip(music.right, part.right)]
    return music


def read_phrase(path):
    with wave.open(path, "rb") as f:
        if (f.getframerate(), f.getnchannels(), f.getsampwidth()) != (RATE, 1, 2):
            sys.exit(f"{path}: expected 48 kHz, mono, 16 bit")
        data = array.array("h")
        data.frombytes(f.readframes(f.getnframes()))
    if sys.byteorder == "big":
        data.byteswap()
    return [x / 32768.0 for x in data]


def write_track(path, track):
    data = array.array("i")
    for left, right in zip(track.left, track.right):
        for x in (left, right):
            # 12 dB of room above full scale: the mix is levelled at the end
            value = round(x * 0.25 * 2147483647.0)
            if not -2147483648 <= value <= 2147483647:
                sys.exit(f"{path}: a sample is out of range")
            data.append(value)
    if sys.byteorder == "big":
        data.byteswap()
    with wave.open(path, "wb") as f:
        f.setnchannels(2)
        f.setsampwidth(4)
        f.setframerate(RATE)
        f.writeframes(data.tobytes())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    speech_dir, out_dir = sys.argv[1:]

    voice, spans, end = Track(), [], 0.0
    for name, start, pan, gain in PHRASES:
        sound = read_phrase(os.path.join(speech_dir, name + ".wav"))
        if start < end + 0.1:
            sys.exit(f"phrase {name!r} starts at {start} s, before the one "
                     f"before it has ended ({end:.2f} s)")
        end = start + len(sound) / RATE
        print(f"  {name:6} {start:6.2f} .. {end:6.2f} s  pan {pan:+.2f}")
        spans.append((start, end))
        voice.add_panned(int(start * RATE), sound, pan, gain * 1.1)

    # Lower the music under the voice; stay down across short pauses.
    merged = []
    for start, end in spans:
        if merged and start - merged[-1][1] < 1.0:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    duck = [(0.0, 1.0)]
    for start, end in merged:
        duck += [(start - DUCK_RAMP, 1.0), (start, DUCK),
                 (end, DUCK), (end + 2 * DUCK_RAMP, 1.0)]
    duck.append((LOOP / RATE, 1.0))

    music = compose()
    for n in range(LOOP):
        t = n / RATE
        gain = line_at(duck, t) * line_at(FADER, t)
        music.left[n] *= gain
        music.right[n] *= gain

    write_track(os.path.join(out_dir, "music.wav"), music)
    write_track(os.path.join(out_dir, "voice.wav"), voice)


if __name__ == "__main__":
    main()
