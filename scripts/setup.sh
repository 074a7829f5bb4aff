#!/usr/bin/env bash
# Makes sure that what `make run` and `make test` need is there, and installs what is missing from
# Debian's packages. Quiet when nothing is missing.
#
#   scripts/setup.sh run     to build and run
#   scripts/setup.sh test    to test as well
#   scripts/setup.sh deb     to build packages
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

purpose=${1:-run}

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

missing_packages() {
    # The encoders are C and C++, and some of them are built by cmake.
    { command -v cc && command -v c++ && command -v make; } >/dev/null || echo build-essential
    command -v cmake >/dev/null || echo cmake
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists alsa 2>/dev/null || echo libasound2-dev
    if [ "$purpose" = test ]; then
        # The tests of the simulated card record from it with arecord.
        command -v arecord >/dev/null || echo alsa-utils
        # What the encoders make is held against what ffmpeg makes of it.
        command -v ffmpeg >/dev/null || echo ffmpeg
        # The page is tested in a real browser, and its parts alone by node.
        command -v chromium >/dev/null || echo chromium
        # Streams over HTTP/2.
        command -v curl >/dev/null || echo curl
        # Live sound is sent to a server.
        command -v icecast2 >/dev/null || echo icecast2
        command -v openssl >/dev/null || echo openssl
        # Live streams are tested in players.
        command -v mpv >/dev/null || echo mpv
        command -v node >/dev/null || echo nodejs
    fi
    if [ "$purpose" = deb ]; then
        command -v dpkg-buildpackage >/dev/null || echo dpkg-dev
        command -v dh >/dev/null || echo debhelper
        command -v lintian >/dev/null || echo lintian
        command -v python3 >/dev/null || echo python3
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

install_packages() {
    echo "setup: installing $*"
    # The package lists of a fresh machine are empty or old: then they are fetched, else not.
    as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq || fail "apt-get update failed, see above"
    as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*, see above"
}

packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        fail "these are missing, by their names in Debian: ${missing[*]}" "install them and try again"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "missing: ${missing[*]}" "as root: apt-get install ${missing[*]}"
    install_packages "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || fail "still missing after installing: ${missing[*]}"
}

rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    command -v cargo >/dev/null ||
        fail "there is no Rust here; https://rustup.rs installs it:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    found=$(rustc --version | awk '{ print $2 }')
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
        fail "Rust $found is too old, $wanted or newer is needed; rustup update brings it" \
            "(Debian's own is older: see https://rustup.rs)"
}

case $purpose in
    run | test | deb) ;;
    *) fail "usage: scripts/setup.sh run|test|deb" ;;
esac
rust
packages
