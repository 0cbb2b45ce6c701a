#!/usr/bin/env bash
# Makes the folder that the image holds, .cache/image-root:
#   usr/bin/network-guard                          one static program, which needs no other file
#   usr/share/doc/network-guard/LICENSE            ours
#   usr/share/doc/network-guard/LICENSES           those of everything that is linked in
#   usr/share/doc/network-guard/sbom.cdx.json      what that is (CycloneDX)
# The same sources and the same tools give the same bytes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
cache=$PWD/.cache
# The libc of the distribution is linked in: with it comes its resolver, which reads /etc/hosts and /etc/resolv.conf and
# does without further files. Named in full, the target has a folder of its own, so that other builds stay as they are, and
# build scripts and macros, which load each other, are not static.
target=$(rustc -vV | sed -n 's/^host: //p')

RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --release --locked --target "$target" --bin network-guard
tests/tools/cargo.sh cargo-cyclonedx 0.5.9

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} TZ=UTC
root=$(mktemp -d "$cache/image-root.XXXXXX")
trap 'rm -rf "$root"' EXIT
share=$root/usr/share/doc/network-guard
mkdir -p "$root/usr/bin" "$share"
install -m 0555 "target/$target/release/network-guard" "$root/usr/bin/"
install -m 0444 LICENSE "$share/"
PATH=$cache/tools/cargo/bin:$PATH "$here/contents.py" "$target" "$share"
chmod 0444 "$share"/*
find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# At once, so that no reader finds half of it.
rm -rf "$cache/image-root.old"
[ ! -e "$cache/image-root" ] || mv "$cache/image-root" "$cache/image-root.old"
mv "$root" "$cache/image-root"
rm -rf "$cache/image-root.old"
echo "$cache/image-root: $(du -sh --apparent-size "$cache/image-root" | cut -f1)"
