#!/usr/bin/env bash
# What a player's listener costs, beside Icecast on the same bytes: installs the peer if it is missing and
# runs benches/live.rs. TALAS_BENCH_LISTENERS, TALAS_BENCH_SECONDS and TALAS_BENCH_STORM change the load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh run
if ! command -v icecast2 >/dev/null; then
    echo "bench: installing icecast2"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends icecast2 >/dev/null ||
        echo "bench: it could not be installed, so there is nothing to compare with" >&2
fi
ulimit -n "$(ulimit -H -n)"
icecast2 -v || true
cargo bench --quiet --bench live
