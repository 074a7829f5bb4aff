#!/usr/bin/env bash
# Builds everything and runs every test, then lints. Needs no sound card: capture is tested on a
# simulated one, through the real alsa-lib.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh test

say() {
    printf '\n== %s\n' "$*"
}

say "building (also talasctl and the simulated card)"
cargo build --workspace

say "testing"
cargo test --workspace --no-fail-fast

say "testing capture once more, in a build that aborts when the capture thread allocates"
cargo test --no-fail-fast --features assert-no-alloc --test no_alloc --test capture --test faults
# The build above left its own talasd behind: put the usual one back.
cargo build --quiet

say "linting"
scripts/lint.sh
