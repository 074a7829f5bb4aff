#!/usr/bin/env bash
# Builds talasd and talasctl and runs the daemon in the foreground, without installing anything and
# without root. Arguments go to the daemon. Ctrl-C ends it.
#
# State is kept in target/run, and the configuration is target/run/talasd.toml if there is one, or what
# --config names; keys can be set by the environment, as in TALAS_HTTP__LISTEN. On a machine without a
# capture device the demo recording plays in a loop, as if it were live.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh run
cargo build --release --package talasd --package talasctl
bin=${CARGO_TARGET_DIR:-target}/release
talasd=$bin/talasd

mkdir -p target/run
# The folder of the default configuration file; there is none in it unless somebody puts one there.
export CONFIGURATION_DIRECTORY=$PWD/target/run
if [ "$(id -u)" -eq 0 ]; then
    export STATE_DIRECTORY=$PWD/target/run
else
    # Not STATE_DIRECTORY: it would move the control socket to where only root may make one.
    export XDG_STATE_HOME=$PWD/target/run
    mkdir -p "$XDG_STATE_HOME/talas"
fi

# What is in effect. Without it (something is wrong, or only --version is asked) the daemon speaks for itself.
config=$("$talasd" "$@" --print-config 2>/dev/null) || true
[[ $config == *"listen = "* ]] || exec "$talasd" "$@"

value_of() {
    sed -n "s/^$1 = //p" <<<"$config" | head -n 1
}

has_capture_device() {
    compgen -G '/dev/snd/pcm*c' >/dev/null
}

# Only a source that nobody chose is replaced.
if ! has_capture_device && [ "$(value_of device)" = '"default"' ] && [ -z "${TALAS_CAPTURE__ALSA__DEVICE:-}" ]; then
    export TALAS_CAPTURE__FILE__PATH=$PWD/assets/talas-demo.flac
    echo
    echo "There is no capture device here, so talasd plays assets/talas-demo.flac in a loop, as if it were live."
fi

url=$(value_of listen | sed 's/^\["\([^"]*\)".*/http:\/\/\1/')
socket=$(value_of socket | tr -d '"')
ctl=$bin/talasctl
case $socket in
    /run/talas/talasd.sock | "${XDG_RUNTIME_DIR:-/run/user/none}/talas/talasd.sock") ;;
    *) ctl="$ctl --socket $socket" ;;
esac

cat <<END

In another terminal:
  curl -N $url/api/audio/stream       the sound, block by block
  $ctl status
  $ctl meters --watch
Ctrl-C ends it.

END
exec "$talasd" "$@"
