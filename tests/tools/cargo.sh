#!/usr/bin/env bash
# Installs a command of cargo in this very version, into .cache/tools/cargo of the project:
#   tests/tools/cargo.sh cargo-deny 0.20.2
# What is there is left as it is. The first time takes some minutes.
set -euo pipefail

name=$1 version=$2
cache=$(cd "$(dirname "$0")/../.." && pwd)/.cache
stamp=$cache/tools/cargo/.$name
[ "$(cat "$stamp" 2>/dev/null)" != "$version" ] || exit 0

echo "installing $name $version (some minutes)"
# It runs for a second or two: what counts is how long it takes to build.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_TARGET_DIR=$cache/build
unset RUSTFLAGS
# Elsewhere, so that nothing here configures its build.
(cd / && cargo install --locked --quiet --root "$cache/tools/cargo" "$name@$version")
rm -rf "$CARGO_TARGET_DIR"
echo "$version" >"$stamp"
