#!/usr/bin/env bash
# Make talas-demo.flac, the recording played as a live source on a machine
# without a sound card. See README.md beside this script.
#
#     assets/make-demo.sh [OUTPUT.flac]
#
# Installs nothing; says which package is missing. Making it twice gives the
# same samples.
set -euo pipefail
export LC_ALL=C

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
output=${1:-$here/talas-demo.flac}

missing=()
for tool in espeak-ng sox flac metaflac python3; do
    command -v "$tool" >/dev/null && continue
    case $tool in
        metaflac) missing+=(flac) ;;
        *) missing+=("$tool") ;;
    esac
done
if ((${#missing[@]})); then
    echo "make-demo.sh: missing Debian packages: $(printf '%s\n' "${missing[@]}" | sort -u | paste -sd' ')" >&2
    exit 1
fi

rate=48000
seconds=24
frames=$((rate * seconds))
max_bytes=1900000

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/speech"

# One phrase: spoken, trimmed, evened out. sox -D: no dither, nothing random.
say() { # name words-per-minute text
    espeak-ng -v en-gb -s "$2" -p 42 -g 1 -a 90 -w "$work/raw.wav" -- "$3"
    sox -D "$work/raw.wav" -b 16 "$work/speech/$1.wav" \
        gain -6 rate -v "$rate" channels 1 \
        highpass 85 equalizer 230 1q +1.5 equalizer 3200 1q -2 treble -2 8000 \
        compand 0.005,0.12 6:-50,-50,-26,-16,0,-7 0 -20 \
        silence 1 0.005 0.4% fade t 0.008 \
        reverse silence 1 0.005 0.4% fade t 0.03 reverse gain -n -4
}

echo "speech:"
say hello 142 "Hello! This is Talas."
say about 152 "Sound, captured once, processed, and served to everyone who listens."
say left 140 "Left."
say right 140 "Right."
say both 145 "And both, together."
say quiet 145 "Now, a quiet moment."
python3 "$here/make_demo_music.py" "$work/speech" "$work"

# Reverb in the steady state of the loop: play it twice, keep the second time.
# Its tail then runs over the loop point as it would in an endless performance.
in_loop() { # input output effects...
    local in=$1 out=$2
    shift 2
    sox -D "$in" -b 32 "$out" repeat 1 "$@" trim "${frames}s" "${frames}s"
}
in_loop "$work/music.wav" "$work/music-wet.wav" \
    highpass 32 lowpass 13000 reverb 38 55 75 100 12 -5
in_loop "$work/voice.wav" "$work/voice-wet.wav" \
    reverb 16 60 35 100 8 -9

# Mix, bring the peaks to -3 dBFS, 16 bit with a fixed dither (-R).
sox -R -m -v 1 "$work/music-wet.wav" -v 1 "$work/voice-wet.wav" \
    -b 16 "$work/mix.wav" gain -n -3 dither

flac --silent --force --best --no-padding \
    --tag="TITLE=Talas demo" \
    --tag="ARTIST=The Talas authors" \
    --tag="LICENSE=CC0-1.0" \
    --tag="DESCRIPTION=Speech and music; loops without a seam" \
    -o "$work/talas-demo.flac" "$work/mix.wav"
flac --silent --test "$work/talas-demo.flac"

got=$(metaflac --show-total-samples "$work/talas-demo.flac")
bytes=$(wc -c <"$work/talas-demo.flac")
if ((got != frames)); then
    echo "make-demo.sh: $got samples instead of $frames" >&2
    exit 1
fi
if ((bytes > max_bytes)); then
    echo "make-demo.sh: $bytes bytes, more than $max_bytes" >&2
    exit 1
fi
sum=$(flac --silent --decode --stdout --force-raw-format --endian=little --sign=signed \
    "$work/talas-demo.flac" | sha256sum | cut -d' ' -f1)

install -m 644 "$work/talas-demo.flac" "$output"
echo "$output: $seconds s, $bytes bytes"
echo "sha256 of the decoded PCM (s16le, stereo): $sum"
