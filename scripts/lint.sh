#!/usr/bin/env bash
# Format, clippy, documentation, links, and shellcheck where it is installed. Every warning counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh run

# A minimal installation of Rust comes without these two.
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 && continue
    component=${tool/fmt/rustfmt}
    echo "lint: adding $component"
    rustup component add "$component" || {
        echo "lint: cargo $tool is missing, and rustup could not add it" >&2
        exit 1
    }
done

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --workspace
scripts/check-links.sh
if command -v shellcheck >/dev/null; then
    shellcheck scripts/*.sh tests/boot/*.sh .ci/run debian/tests/smoke debian/talasd.p*
else
    echo "lint: shellcheck is not installed, scripts are not checked"
fi
