#!/usr/bin/env bash
# A real etcd and kube-apiserver on loopback, with Gardener's CRDs, the example landscape and network-guard registered:
#   tests/local.sh up      start it; prints how to play with it
#   tests/local.sh down    stop it and remove its data
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.cache/tools
local=$root/.cache/local
guard=$root/target/debug/network-guard
export KUBECONFIG=$local/kubeconfig

etcd_port=${ETCD_PORT:-12379}
api_port=${API_PORT:-16443}
guard_port=${GUARD_PORT:-11250}

# start NAME PROGRAM ARGUMENT... : runs it in the background and remembers its process id.
start() {
  local name=$1
  shift
  # A session of its own, and no file of this script left open: it goes on when this script and its terminal are gone.
  setsid "$@" >"$local/$name.log" 2>&1 </dev/null &
  echo $! >"$local/$name.pid"
}

# wait_for WHAT NAME COMMAND... : repeats the command until it succeeds or the program NAME has ended.
wait_for() {
  local what=$1 name=$2
  shift 2
  printf 'waiting for %s ' "$what"
  for _ in $(seq 240); do
    if "$@" >/dev/null 2>&1; then
      echo ok
      return
    fi
    if ! kill -0 "$(cat "$local/$name.pid")" 2>/dev/null; then
      printf '\n%s ended; the end of %s:\n' "$name" "$local/$name.log" >&2
      tail -n 5 "$local/$name.log" >&2
      exit 2
    fi
    printf .
    sleep 0.5
  done
  printf '\nnot within two minutes, see %s\n' "$local/$name.log" >&2
  exit 2
}

down() {
  for name in network-guard kube-apiserver etcd; do
    local pid
    pid=$(cat "$local/$name.pid" 2>/dev/null) || continue
    # After a reboot the number may be somebody else's.
    [ "$(basename "$(readlink "/proc/$pid/exe" 2>/dev/null)" | sed 's/ (deleted)//')" = "$name" ] || continue
    kill "$pid" 2>/dev/null || true
    # A second signal: there is nobody left for whom it would have to stop gracefully.
    if [ "$name" = network-guard ]; then sleep 0.5 && kill "$pid" 2>/dev/null || true; fi
    # The next `up` needs the ports, so wait until they are free.
    for _ in $(seq 200); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$local"
}

up() {
  if [ -d "$local" ]; then
    echo "it is up already, or was not taken down: make local-down" >&2
    exit 2
  fi
  mkdir -p "$local"
  # Whatever goes wrong on the way up, nothing is left behind.
  trap 'down' ERR INT TERM
  trap '[ $? -eq 0 ] || { down; }' EXIT

  "$guard" certs generate --out "$local/api" --san 127.0.0.1 >/dev/null
  "$guard" certs generate --out "$local/guard" --san 127.0.0.1 >/dev/null
  local token
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && echo "$token,admin,admin,system:masters" >"$local/tokens.csv")
  (
    umask 077
    cat >"$KUBECONFIG" <<YAML
apiVersion: v1
kind: Config
current-context: local
clusters:
- name: local
  cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: "$local/api/ca.crt"}
users:
- name: admin
  user: {token: $token}
contexts:
- name: local
  context: {cluster: local, user: admin}
YAML
  )

  start etcd "$tools/etcd" --data-dir="$local/etcd" --log-level=warn \
    --listen-client-urls="http://127.0.0.1:$etcd_port" --advertise-client-urls="http://127.0.0.1:$etcd_port" \
    --listen-peer-urls="http://127.0.0.1:$((etcd_port + 1))"
  start kube-apiserver "$tools/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" \
    --bind-address=127.0.0.1 --secure-port="$api_port" --allow-privileged=true --authorization-mode=RBAC \
    --tls-cert-file="$local/api/tls.crt" --tls-private-key-file="$local/api/tls.key" \
    --token-auth-file="$local/tokens.csv" --service-cluster-ip-range=10.0.0.0/24 \
    --service-account-issuer=https://kubernetes.default.svc --disable-admission-plugins=ServiceAccount \
    --service-account-key-file="$local/api/tls.crt" --service-account-signing-key-file="$local/api/tls.key"
  wait_for kube-apiserver kube-apiserver "$tools/kubectl" get --raw /readyz

  for name in clusters networks; do
    "$tools/kubectl" apply -f "$tools/seed-crds/10-crd-extensions.gardener.cloud_$name.yaml" >/dev/null
  done
  "$tools/kubectl" apply -f "$tools/seed-crds/10-crd-resources.gardener.cloud_managedresources.yaml" >/dev/null
  "$tools/kubectl" create namespace garden >/dev/null
  "$tools/kubectl" wait --for=condition=Established crd/clusters.extensions.gardener.cloud --timeout=60s >/dev/null
  for file in "$root"/examples/landscape/*.yaml; do
    "$tools/kubectl" apply -f "$file" >/dev/null
  done

  "$tools/kubectl" apply -f "$root/examples/landscape/networks/overlay.yaml" >/dev/null

  start network-guard "$guard" serve seed --kubeconfig "$KUBECONFIG" --cert-dir "$local/guard" --log-format text \
    --bind-address "127.0.0.1:$guard_port" --health-bind-address "127.0.0.1:$((guard_port + 1))" \
    --metrics-bind-address "127.0.0.1:$((guard_port + 2))"
  wait_for network-guard network-guard curl -sf "http://127.0.0.1:$((guard_port + 1))/readyz"
  "$guard" webhooks seed --url "https://127.0.0.1:$guard_port" --ca-file "$local/guard/ca.crt" |
    "$tools/kubectl" apply -f - >/dev/null

  trap - ERR INT TERM EXIT
  cat <<TEXT

It is up. For example:

  export KUBECONFIG=$KUBECONFIG PATH=$tools:\$PATH
  kubectl get clusters.extensions.gardener.cloud
  kubectl apply -f examples/landscape/deployments/overlap.json      # gets the sidecar
  kubectl apply -f examples/landscape/deployments/disjoint.json     # is left as it is
  kubectl -n shoot--garden--overlap get deployment kube-apiserver -o yaml | less
  kubectl apply -f examples/landscape/networks/native.yaml          # is held: typha goes, the overlay stays
  $guard switches
  curl -s http://127.0.0.1:$((guard_port + 2))/metrics | grep decisions

Logs are in $local; \`make local-down\` stops everything.
TEXT
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  *)
    sed -n '2,5p' "$0" >&2
    exit 2
    ;;
esac
