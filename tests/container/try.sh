#!/bin/sh
# Builds the Dockerfile without a daemon, runs it, and asks it what people and programs ask: make container, as root.
#
# Debian's buildah builds in a chroot; the base is Debian with Python, made by debootstrap, in place of the registry's
# (BASE=... names another image). Everything lies in WORK, which is kept so that the next run has its base: 2 GB.
set -eu

WORK=${WORK:-var/container}
PORT=${PORT:-8599}
SUITE=${SUITE:-bookworm}
MIRROR=${MIRROR:-http://deb.debian.org/debian}
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

for program in buildah debootstrap curl; do
    command -v "$program" >/dev/null || { echo "Install $program: apt-get install buildah debootstrap curl"; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "Run it as root: a chroot and debootstrap need that."; exit 2; }
if curl -s -o /dev/null "http://127.0.0.1:$PORT/"; then
    echo "Something answers at port $PORT already: name another one, PORT=..."
    exit 2
fi
mkdir -p "$WORK"
WORK=$(realpath "$WORK")

own() { buildah --root "$WORK/images" --runroot "$WORK/run" --storage-driver "${DRIVER:-vfs}" "$@"; }

if [ -z "${BASE:-}" ]; then
    BASE=localhost/debian-python
    if ! own inspect --type image "$BASE" >/dev/null 2>&1; then
        [ -x "$WORK/base/usr/bin/python3" ] ||
            debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$SUITE" "$WORK/base" "$MIRROR"
        made=$(own from scratch)
        own add -q "$made" "$WORK/base" / >/dev/null
        own commit -q "$made" "$BASE" >/dev/null
        own rm "$made" >/dev/null
    fi
fi

# What this machine trusts, so that a mirror or a proxy of its own can be asked from inside.
printf '[global]\ncert = %s\nretries = 2\n' "$CERTIFICATES" >"$WORK/pip.conf"
began=$(date +%s)
own build --isolation chroot --format docker --build-arg "BASE=$BASE" --tag localhost/rightsize \
    --volume "$WORK/pip.conf:/etc/pip.conf:ro" --volume "$CERTIFICATES:$CERTIFICATES:ro" .
echo "built on $BASE in $(($(date +%s) - began)) s"

box=$(own from localhost/rightsize)
wanted=$(own inspect --format '{{range .OCIv1.Config.Cmd}}{{.}} {{end}}' "$box")
wanted=$(echo "$wanted" | sed "s/8501/$PORT/")
# shellcheck disable=SC2086 # the image's own command, word by word
own run --isolation chroot --env HF_HUB_OFFLINE=1 --env RIGHTSIZE_LIVE_PRICES=0 "$box" -- $wanted >"$WORK/log" 2>&1 &
started=$!
# What runs inside has pids of this machine: its user and pid, of the server alone.
inside() { ps -eo uid=,pid=,args= | awk -v port="--server.port=$PORT" '$3 ~ /python/ && index($0, port) { print $1, $2; exit }'; }
stop() {
    at_work=$(inside)
    [ -z "$at_work" ] || kill "${at_work#* }"
    wait "$started" 2>/dev/null || true
    own rm "$box" >/dev/null
}
trap stop EXIT

at="http://127.0.0.1:$PORT"
for _ in $(seq 120); do
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$at/readyz" || true)" = 200 ] && break
    kill -0 "$started" 2>/dev/null || { cat "$WORK/log"; echo "FAILED: it ended by itself"; exit 1; }
    sleep 1
done

failed=0
expect() { # what it is, a path, what the answer holds
    if curl -sf --max-time 20 "$at$2" | grep -q -- "$3"; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}
expect "liveness" /livez '^ok$'
expect "readiness" /readyz '"ready":true'
expect "the first page" / '<title>[^<]*Rightsize'
expect "the API" '/api/v1/estimate?model=8B&gpu=L4' '"verdict"'
expect "the API's description" /openapi.json '"openapi"'
expect "metrics" /metrics '^rightsize_'
if grep -qi "error\|not kept\|does not answer" "$WORK/log"; then echo "FAILED  its log"; cat "$WORK/log"; failed=1; fi
who=$(inside)
who=${who% *}
if [ "$who" = 10001 ]; then echo "ok      it runs as user $who"; else echo "FAILED  it runs as user $who"; failed=1; fi
exit "$failed"
