#!/usr/bin/env bash
# Builds the packages talasd and talasctl for this machine, from the files that git knows or would add, and
# holds them against lintian. The results are in target/deb (CARGO_TARGET_DIR moves target).
#
#   scripts/deb.sh                  builds them
#   scripts/deb.sh --reproducible   and once more from nothing in another place, and compares
#
# With a folder vendor/, made by `cargo vendor`, nothing is downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
out=$target/deb

# A copy of the sources at $1, so that what a build leaves behind is not among them.
copy_sources() {
    mkdir -p "$1"
    git ls-files --cached --others --exclude-standard -z | tar --create --null --files-from=- | tar --extract -C "$1"
    [ ! -d vendor ] || ln -sfn "$root/vendor" "$1/vendor"
}

# Builds in $1/talas, which leaves the packages in $1. The programs are built below $2.
build() {
    rm -rf "$1"
    copy_sources "$1/talas"
    (
        cd "$1/talas"
        # Rust comes from rustup, which no package can depend on, so dpkg would not find it either way.
        CARGO_TARGET_DIR=$2 DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:+$DEB_BUILD_OPTIONS }parallel=$(nproc)" \
            dpkg-buildpackage --build=binary --no-sign
    )
}

scripts/setup.sh deb
build "$out" "$target"
lintian --allow-root --fail-on error,warning --display-info "$out"/*.changes
if [ "${1:-}" = --reproducible ]; then
    again=$target/reproducible/elsewhere
    build "$again" "$target/reproducible/target-of-another-name"
    for package in "$out"/*.deb; do
        cmp "$package" "$again/${package##*/}"
    done
    echo "reproducible: two builds in two places are the same, byte for byte"
fi
echo
ls -l "$out"/*.deb
