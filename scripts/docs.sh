#!/usr/bin/env bash
# Builds the documentation of the code and checks the links of the written one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh run
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
scripts/check-links.sh
echo "of the code:         ${CARGO_TARGET_DIR:-target}/doc/talasd/index.html"
echo "of everything else: docs/"
