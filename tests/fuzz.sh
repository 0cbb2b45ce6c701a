#!/usr/bin/env bash
# Looks for inputs that break a law of fuzz/src/laws: ten minutes for each target of fuzz/fuzz_targets.
#   FUZZ_SECONDS=60            so long instead
#   FUZZ_TARGETS="yaml cidr"   these alone
#   FUZZ_KEEP=1                then add what reaches code that fuzz/seeds do not, and is short, to those
# What breaks one lies in fuzz/artifacts (`cargo fuzz tmin` makes it small), what reaches new code in fuzz/corpus, where the next
# run begins. The ordinary tests read fuzz/seeds, which are committed: tests/it/fuzz.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$(tests/tools/cargo.sh cargo-fuzz 0.13.2):$PATH
export PATH
# We have no unsafe code that a sanitizer could watch, and without one a stable compiler will do.
options=(--sanitizer none)
# In bytes.
LONGEST_SEED=1025

# The few that together reach all that was reached, by inputs that a repository has room for.
keep() {
  local short
  short=$(mktemp -d)
  find "fuzz/corpus/$1" -type f -size -"$LONGEST_SEED"c -exec cp -t "$short" {} +
  cargo fuzz run "${options[@]}" "$1" "fuzz/seeds/$1" "$short" -- -set_cover_merge=1 -use_counters=0 -timeout=10 -rss_limit_mb=2048
  rm -r "$short"
}

failed=()
for target in ${FUZZ_TARGETS:-$(cargo fuzz list)}; do
  printf '\n=== %s ===\n\n' "$target"
  # The longest inputs: of choices, of texts, and of reviews as they are recorded. Those of choices may be as long from the beginning.
  limits=(-max_len=512 -len_control=0)
  case $target in
    cidr) limits=(-max_len=1024) ;;
    peering | yaml) limits=(-max_len=16384) ;;
    review) limits=(-max_len=98304) ;;
  esac
  limits+=(-timeout=10 -rss_limit_mb=2048)
  [ ! -e "fuzz/dictionaries/$target" ] || limits+=("-dict=fuzz/dictionaries/$target")
  mkdir -p "fuzz/corpus/$target"
  begin=("fuzz/corpus/$target" "fuzz/seeds/$target")
  [ "$target" != review ] || begin+=(tests/fixtures/reviews)
  cargo fuzz run "${options[@]}" "$target" "${begin[@]}" -- \
    "${limits[@]}" -max_total_time="${FUZZ_SECONDS:-600}" -print_final_stats=1 || failed+=("$target")
  [ -z "${FUZZ_KEEP:-}" ] || keep "$target"
done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nbroken: %s; what broke them lies in fuzz/artifacts\n' "${failed[*]}" >&2
  exit 1
fi
