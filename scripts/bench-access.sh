#!/bin/bash
# What it costs to check each request: a small GET under wrk, with access open and without limits, with
# limits, and by a token that is in the cache, in turns on the same machine. TALASD and TALASCTL name the programs.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v wrk >/dev/null || { echo "bench-access: wrk is not installed (apt-get install wrk)" >&2; exit 1; }
TARGET=${CARGO_TARGET_DIR:-target}/release
TALASD=${TALASD:-$TARGET/talasd} TALASCTL=${TALASCTL:-$TARGET/talasctl}
[[ -x $TALASD && -x $TALASCTL ]] || cargo build --release --quiet -p talasd -p talasctl
SECONDS_EACH=${SECONDS_EACH:-5} ROUNDS=${ROUNDS:-5}

dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT

# start NAME SETTINGS: a daemon of this name, with these settings; its address goes to $dir/NAME.address.
start() {
    mkdir -p "$dir/$1/music"
    cat >"$dir/$1.toml" <<EOF
http.listen = ["127.0.0.1:0"]
control.socket = "$dir/$1.sock"
library.dirs = ["$1/music"]
$2
[capture.tone]
EOF
    STATE_DIRECTORY="$dir/$1/state" NO_COLOR=1 "$TALASD" --config "$dir/$1.toml" 2>"$dir/$1.log" &
    pids+=($!)
    for _ in {1..100}; do
        sed -n 's|.*url="http://\([^"]*\)".*|\1|p' "$dir/$1.log" >"$dir/$1.address"
        [[ -s $dir/$1.address ]] && return
        sleep 0.1
    done
    cat "$dir/$1.log" >&2
    exit 1
}

none='{ requests_per_s = 0, new_streams_per_s = 0, streams = 0 }'
raised='{ requests_per_s = 1000000, new_streams_per_s = 1000000, streams = 1000000 }'
start bare "access.limits.address = $none"
start limits "access.limits.address = $raised"
start token "access.mode = \"token\"
access.limits.address = $raised
access.limits.user = $raised
access.limits.token = $raised"
token=$("$TALASCTL" --socket "$dir/token.sock" token mint --sub bench --role listener --for 1h)
token=${token%%$'\n'*}

# once NAME [OPTION…]: requests a second. It counts only if every answer was good.
once() {
    local name=$1
    shift
    wrk -t1 -c32 -d"${SECONDS_EACH}s" "$@" "http://$(<"$dir/$name.address")/tracks" >"$dir/wrk.out"
    if grep -q 'Non-2xx\|Socket errors' "$dir/wrk.out"; then
        cat "$dir/wrk.out" >&2
        exit 1
    fi
    awk '/^Requests\/sec/ { print $2 }' "$dir/wrk.out"
}

for ((round = 0; round < ROUNDS; round++)); do
    once bare >>"$dir/bare.rates"
    once limits >>"$dir/limits.rates"
    once token -H "Authorization: Bearer $token" >>"$dir/token.rates"
done

median() { sort -n "$1" | awk '{ rates[NR] = $1 } END { print rates[int((NR + 1) / 2)] }'; }
bare=$(median "$dir/bare.rates")
echo "GET /tracks, wrk -t1 -c32, median of $ROUNDS rounds of ${SECONDS_EACH} s each in turns, requests a second"
for name in bare limits token; do
    median "$dir/$name.rates" |
        awk -v name="$name" -v bare="$bare" '{ printf "  %-7s %9.0f  %5.1f %% of bare\n", name, $1, 100 * $1 / bare }'
done
