#!/usr/bin/env bash
# What a live listener costs, beside nginx with nchan on the same payload: installs the peer if it is
# missing and runs benches/fanout.rs. TALAS_BENCH_LISTENERS and TALAS_BENCH_SECONDS change the load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh run
if [ ! -e /usr/lib/nginx/modules/ngx_nchan_module.so ]; then
    echo "bench: installing nginx with nchan"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends nginx-light libnginx-mod-nchan >/dev/null ||
        echo "bench: it could not be installed, so there is nothing to compare with" >&2
fi
ulimit -n "$(ulimit -H -n)"
nginx -v 2>&1 || true
cargo bench --quiet --bench fanout
