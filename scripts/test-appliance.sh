#!/usr/bin/env bash
# Tests the packages on a bare Debian: builds them, makes a Debian with debootstrap (kept in
# target/appliance), boots it in namespaces, installs with apt, uses, upgrades and purges.
# Needs root, and says so where the machine does not allow it. TALAS_SUITE chooses another release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=${TALAS_SUITE:-bookworm}
target=${CARGO_TARGET_DIR:-$PWD/target}
system=$target/appliance/$suite

cannot() {
    echo "test-appliance: the packages are NOT tested: $*" >&2
    exit 1
}

obstacle=$(tests/boot/machine.sh check)
[ -z "$obstacle" ] || cannot "this machine $obstacle"

make_system() {
    command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null ||
        cannot "there is no debootstrap"
    rm -rf "$system" "$system.new"
    mkdir -p "$target/appliance"
    # What is on every Debian, and what apt would fetch: the machine that is booted has no network.
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,libasound2 "$suite" "$system.new" >"$system.log" 2>&1 ||
        cannot "debootstrap failed, see $system.log"
    rm -rf "$system.new"/var/cache/apt/archives/*.deb "$system.new"/var/lib/apt/lists/*
    mv "$system.new" "$system"
}

scripts/setup.sh test
scripts/deb.sh
[ -d "$system" ] || make_system
TALAS_PACKAGES=$target/deb TALAS_SYSTEM=$system \
    cargo test --test appliance -- --ignored --nocapture --test-threads 1
