#!/usr/bin/env bash
# Makes the folder that the image holds, .cache/image-root, or with `quick` one for the tests, .cache/image-root-quick. There the
# program is of the profile `quick`, which a few seconds link: everything else is the same.
#   usr/bin/network-guard                          one static program, which needs no other file
#   usr/share/doc/network-guard/LICENSE            ours
#   usr/share/doc/network-guard/LICENSES           those of everything that is linked in
#   usr/share/doc/network-guard/sbom.cdx.json      what that is (CycloneDX)
# The same sources and the same tools give the same bytes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
into=$PWD/.cache/image-root${1:+-$1}
mkdir -p .cache
# The libc of the distribution is linked in: with it comes its resolver, which reads /etc/hosts and /etc/resolv.conf and
# does without further files. Named in full, the target has a folder of its own, so that other builds stay as they are, and
# build scripts and macros, which load each other, are not static.
target=$(rustc -vV | sed -n 's/^host: //p')

case ${1:-} in
"")
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --release --locked --target "$target" --bin network-guard
  program=target/$target/release/network-guard
  ;;
quick)
  # Libraries are compiled alike either way: only who links the program has to know. So they are those of other builds.
  cargo rustc --quiet --profile quick --locked --bin network-guard -- -C target-feature=+crt-static -C strip=symbols
  program=target/quick/network-guard
  ;;
*)
  echo "usage: image/root.sh [quick]" >&2
  exit 2
  ;;
esac
PATH=$(tests/tools/cargo.sh cargo-cyclonedx 0.5.9):$PATH
export PATH

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} TZ=UTC
root=$(mktemp -d "$into.XXXXXX")
trap 'rm -rf "$root"' EXIT
share=$root/usr/share/doc/network-guard
mkdir -p "$root/usr/bin" "$share"
install -m 0555 "$program" "$root/usr/bin/"
install -m 0444 LICENSE "$share/"
"$here/contents.py" "$target" "$share"
chmod 0444 "$share"/*
find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# At once, so that no reader finds half of it.
rm -rf "$into.old"
[ ! -e "$into" ] || mv "$into" "$into.old"
mv "$root" "$into"
rm -rf "$into.old"
echo "$into: $(du -sh --apparent-size "$into" | cut -f1)"
