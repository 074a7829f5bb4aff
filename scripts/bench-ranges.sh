#!/bin/sh
# Random ranges of a cached file, talasd beside nginx: requests per second and CPU per request.
#
#   scripts/bench-ranges.sh [SIZE…]      sizes of the ranges in bytes; 4096 65536 262144 1048576 by default
#
# SECONDS_EACH (5), ROUNDS (3), CONNECTIONS (32), FILE_MB (23), TALASD (built here when unset). Both servers
# get the same file, the same seeded ranges and the same load, in turns; the median round counts. nginx
# and wrk are installed where they are missing and root may do so.
set -eu

seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
connections=${CONNECTIONS:-32}
file_mb=${FILE_MB:-23}
[ $# -gt 0 ] || set -- 4096 65536 262144 1048576

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
nginx_pid='' talasd_pid=''

stop() {
    for pid in $nginx_pid $talasd_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM

PATH=$PATH:/usr/sbin
if ! command -v nginx >/dev/null || ! command -v wrk >/dev/null; then
    apt-get install -y -q nginx wrk >&2
fi
if [ -z "${TALASD:-}" ]; then
    cargo build --release --bin talasd --manifest-path "$root/Cargo.toml"
    TALASD=${CARGO_TARGET_DIR:-$root/target}/release/talasd
fi

# A port that nobody has: the kernel's choice for talasd, looked for here for nginx, which cannot ask.
free_port() {
    port=18080
    while grep -q ":$(printf %04X $port) " /proc/net/tcp; do port=$((port + 1)); done
    echo $port
}

mkdir "$dir/music"
head -c $((file_mb * 1000000)) /dev/urandom >"$dir/music/track.mp3"
cat "$dir/music/track.mp3" >/dev/null
# Workers run as another user and must reach the file.
chmod 755 "$dir" "$dir/music"
chmod 644 "$dir/music/track.mp3"

nginx_port=$(free_port)
cat >"$dir/nginx.conf" <<EOF
worker_processes 2;
daemon off;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush off;
    types { audio/mpeg mp3; }
    keepalive_requests 1000000000;
    server { listen 127.0.0.1:$nginx_port; root $dir/music; }
}
EOF
nginx -p "$dir" -c "$dir/nginx.conf" 2>"$dir/nginx.err" &
nginx_pid=$!

cat >"$dir/talasd.toml" <<EOF
http.listen = ["127.0.0.1:0"]
control.socket = "$dir/talasd.sock"
library.dirs = ["music"]
# Not met, and looked at all the same.
access.limits.address = { requests_per_s = 1000000, streams = 1000000 }
[capture.tone]
EOF
STATE_DIRECTORY="$dir/state" NO_COLOR=1 "$TALASD" --config "$dir/talasd.toml" 2>"$dir/talasd.log" &
talasd_pid=$!

wait_for() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "waited in vain for: $*" >&2
            cat "$dir"/*.log "$dir"/*.err >&2
            exit 1
        fi
        sleep 0.1
    done
}
wait_for grep -q '"ready"' "$dir/talasd.log"
talasd_url=$(sed -n 's/.*url="\(http:[^"]*\)".*/\1/p' "$dir/talasd.log" | head -n 1)
id=$(curl -fsS "$talasd_url/tracks" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')
talasd_url=$talasd_url/stream/$id
nginx_url=http://127.0.0.1:$nginx_port/track.mp3
for url in "$nginx_url" "$talasd_url"; do
    wait_for sh -c "curl -fsS $url | cmp -s - $dir/music/track.mp3"
done

cat >"$dir/ranges.lua" <<'EOF'
local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end
function init(args)
    math.randomseed(seed)
    size, length = tonumber(args[1]), tonumber(args[2])
end
function request()
    local first = math.random(0, length - size)
    return wrk.format("GET", nil, { Range = "bytes=" .. first .. "-" .. first + size - 1 })
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.duration,
        e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
EOF

# Ticks of CPU that a process and its children have used.
ticks() {
    total=0
    for pid in "$1" $(cat "/proc/$1/task/$1/children"); do
        # The name in brackets may have spaces; the times are the 12th and 13th field after it.
        total=$((total + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')))
    done
    echo $total
}

# One round: requests per second, microseconds of CPU per request, p99 in microseconds.
round() {
    before=$(ticks "$2")
    wrk -t 2 -c "$connections" -d "$seconds" -s "$dir/ranges.lua" "$1" -- "$3" $((file_mb * 1000000)) >"$dir/wrk.out"
    after=$(ticks "$2")
    sed -n 's/^RESULT //p' "$dir/wrk.out" |
        awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
            $3 > 0 { print "a round had " $3 " errors" >"/dev/stderr"; exit 1 }
            { printf "%.0f %.1f %d\n", $1 / ($2 / 1e6), ticks / hz * 1e6 / $1, $4 }'
}

median() {
    sort -n -k 1,1 "$1" | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'
}

echo "$(nginx -v 2>&1), sendfile on, tcp_nopush off, access_log off, 2 workers; $("$TALASD" --version)"
echo "$(wrk -v 2>&1 | sed -n 's/^\(wrk [^ ]*\).*/\1/p'): 2 threads, $connections connections, $seconds s, median of $rounds;" \
    "file of $file_mb MB; $(nproc) cores shared by both sides; Linux $(uname -r)"
echo
printf '%8s | %10s %8s %8s | %10s %8s %8s | %9s %9s\n' \
    range 'nginx/s' 'us CPU' 'p99 us' 'talasd/s' 'us CPU' 'p99 us' 'requests' 'CPU'
for size in "$@"; do
    : >"$dir/nginx.rounds"
    : >"$dir/talasd.rounds"
    for _ in $(seq "$rounds"); do
        round "$nginx_url" "$nginx_pid" "$size" >>"$dir/nginx.rounds"
        round "$talasd_url" "$talasd_pid" "$size" >>"$dir/talasd.rounds"
    done
    echo "$size $(median "$dir/nginx.rounds") $(median "$dir/talasd.rounds")" |
        awk '{ printf "%8d | %10d %8.1f %8d | %10d %8.1f %8d | %8.2fx %8.2fx\n",
               $1, $2, $3, $4, $5, $6, $7, $5 / $2, $6 / $3 }'
done
