#!/usr/bin/env bash
# Installs a command of cargo in this very version, and prints the folder that its program is in:
#   PATH=$(tests/tools/cargo.sh cargo-deny 0.20.2):$PATH
# It lies in the user's cache, so that all clones on a machine share it. The first time takes some minutes.
set -euo pipefail

name=$1 version=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/network-guard
root=$cache/cargo/$name-$version
mkdir -p "$cache/cargo"
# One installation at a time, for all clones.
exec 9>"$root.lock"
flock 9

if [ ! -e "$root/.complete" ]; then
  echo "installing $name $version (some minutes)" >&2
  # It runs for a second or two: what counts is how long it takes to build.
  export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
  CARGO_TARGET_DIR=$(mktemp -d "$cache/build.XXXXXX")
  export CARGO_TARGET_DIR
  trap 'rm -rf "$CARGO_TARGET_DIR"' EXIT
  unset RUSTFLAGS
  # Elsewhere, so that nothing here configures its build.
  (cd / && cargo install --locked --quiet --root "$root" "$name@$version" >&2)
  touch "$root/.complete"
fi
echo "$root/bin"
