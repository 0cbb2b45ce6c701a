#!/usr/bin/env bash
# Holds what we depend on against deny.toml: bans, licences, sources, and what is known against it (RustSec).
# Advisories are fetched from GitHub. Where that cannot be reached, NETWORK_GUARD_ADVISORY_DB may name a clone of
# https://github.com/rustsec/advisory-db; with neither, this says aloud that nobody looked.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$(tests/tools/cargo.sh cargo-deny 0.20.2):$PATH
export PATH
cargo deny --locked check bans licenses sources

# The name that cargo-deny gives the address.
database=.cache/advisory-dbs/advisory-db-3157b0e258782691
if why=$(timeout 120 cargo deny fetch db 2>&1); then
  :
elif [ -n "${NETWORK_GUARD_ADVISORY_DB:-}" ]; then
  rm -rf "$database"
  git clone --quiet --depth 1 "file://$(realpath "$NETWORK_GUARD_ADVISORY_DB")" "$database"
  git -C "$database" remote set-url origin https://github.com/rustsec/advisory-db
else
  why=$(grep -E '^fatal|ERROR' <<<"$why" | tail -1)
  printf '\n#### NOT CHECKED: advisories of RustSec, their database cannot be had: %s ####\n\n' "$why" >&2
  exit 0
fi
printf 'advisories as of %s: ' "$(git -C "$database" log -1 --format=%cs)"
cargo deny --locked --offline check advisories
