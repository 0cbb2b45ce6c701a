#!/usr/bin/env bash
# Prints all figures: time, allocations, instructions, CPU against fixed answers and a Go peer, memory, size, start.
# No timing is asserted: machines are shared and noisy. Compare ratios of one run.
set -euo pipefail
cd "$(dirname "$0")/.."

section() { printf '\n=== %s ===\n\n' "$1"; }

section "one call, the network mapping, and a plan of the double NAT (criterion)"
cargo bench --quiet --features bench --bench handler -- --warm-up-time 1 --measurement-time 3 2>/dev/null |
  grep -E '^(handler|netmap|nat plan)|time:|thrpt:' || true
section "allocations and instructions"
cargo bench --quiet --features bench --bench counts
section "side by side"
cargo bench --quiet --features bench --bench side_by_side
section "the garden: decisions, events, memory"
cargo bench --quiet --features bench --bench garden
section "the overlay switch: decisions, looks at nodes, memory"
cargo bench --quiet --features bench --bench overlay
section "memory"
cargo bench --quiet --features bench --bench memory
section "the data path: our socket, gardenlet's TLS, no proxy"
NETWORK_GUARD_REQUIRE_DATAPATH=1 cargo test --release --quiet --test datapath -- --ignored --exact \
  speed::proxies_side_by_side --nocapture 2>&1 | grep -E 'median|socket|MiB/s|request' || true
section "size, start, and memory when nothing happens"
grep -A6 -F '[profile.release]' Cargo.toml
image/root.sh
cargo bench --quiet --bench start
