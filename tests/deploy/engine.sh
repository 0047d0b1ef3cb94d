#!/usr/bin/env bash
# tests/deploy/on_engine.py on a real Docker Engine of its own. Needs root, Debian 12, its package mirror and a package
# index; no image registry: the base image is made by debootstrap and stands in for python:3.11-slim-bookworm.
#
#   tests/deploy/engine.sh [WORK]     WORK keeps what was made (a second run is faster); by default it is deleted
#
# It upgrades from the image of a commit before, for which git's history must be here.
#
# The engine is ended at the end; nothing but Debian packages stays. Its bridge and port mappings live in a network
# name space, so that this machine's own rules are not touched; that has no way out, so the image is built before.
set -euo pipefail
cd "$(dirname "$0")/../.."
given=${1:-}
work=$(realpath -m "${given:-$(mktemp -d)}")
space=thirdrail-engine-$$
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null || true; } |
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\) bookworm main.*/\2/p' | head -n 1)
mkdir -p "$work"
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/client DOCKER_BUILDKIT=0

figure() { printf 'engine: %s\n' "$1" >&2; }

ended() { # ended PID: wait until it has
    for _ in $(seq 120); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.5
    done
    figure "process $1 does not end"
    return 1
}

stop_engine() {
    local pid
    [[ -f $work/pid ]] || return 0
    pid=$(cat "$work/pid")
    kill "$pid" && ended "$pid"
}

at_end() {
    local code=$?
    stop_engine || code=1
    ! ip netns list | grep -q "^$space\b" || ip netns delete "$space"
    # An engine in a name space of its own leaves its own one mounted.
    ! mountpoint -q "$work/exec/netns/default" || umount "$work/exec/netns/default"
    [[ -n $given ]] || rm -rf "$work"
    exit $code
}

start_engine() { # start_engine PREFIX... -- OPTIONS...
    local prefix=()
    while [[ $1 != -- ]]; do
        prefix+=("$1")
        shift
    done
    shift
    ${prefix[@]+"${prefix[@]}"} dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        --host "$DOCKER_HOST" "$@" >"$work/log" 2>&1 &
    for _ in $(seq 120); do
        ! docker info >/dev/null 2>&1 || return 0
        sleep 0.5
    done
    tail -n 20 "$work/log" >&2
    figure "the engine did not start"
    return 1
}

packages() {
    local wanted=(docker.io debootstrap iproute2) missing
    missing=$(dpkg-query --show --showformat '${db:Status-Status}\n' "${wanted[@]}" 2>&1 | grep -cvx installed) || true
    [[ $missing == 0 ]] || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
            "${wanted[@]}" >/dev/null
    }
}

compose_plugin() { # of the next Debian, unpacked and not installed: this one has none
    [[ ! -x $DOCKER_CONFIG/cli-plugins/docker-compose ]] || return 0
    local apt=$work/apt
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/unpacked" "$DOCKER_CONFIG/cli-plugins"
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" \
        /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/sources/trixie.sources"
    local options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources"
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -qq)
    (
        cd "$apt"
        apt-get "${options[@]}" update
        apt-get "${options[@]}" download docker-compose/trixie
        dpkg -x docker-compose_*.deb unpacked
    )
    cp "$apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$DOCKER_CONFIG/cli-plugins/"
}

base_image() {
    local base=$work/base begin=$SECONDS
    ! docker image inspect python:3.11-slim-bookworm >/dev/null 2>&1 || return 0
    rm -rf "$base"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip bookworm "$base" "$mirror" \
        >"$work/debootstrap.log" 2>&1 || {
        tail -n 5 "$work/debootstrap.log" >&2
        return 1
    }
    rm -f "$base"/usr/lib/python3*/EXTERNALLY-MANAGED
    # What this machine trusts, the build trusts.
    cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$base/etc/pip.conf"
    rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/*
    tar -C "$base" -c . | docker import -c 'ENV LANG=C.UTF-8' - python:3.11-slim-bookworm >/dev/null
    rm -rf "$base"
    figure "stand-in base image made in $((SECONDS - begin)) s, $(size_of python:3.11-slim-bookworm)"
}

size_of() { docker image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.0f MB", $1 / 1e6 }'; }

trees() { # of clean checkouts: what git knows, and nothing else
    local found program
    program=(src Dockerfile pyproject.toml requirements-snowflake.txt deploy deploy.sh)
    rm -rf "$work/today" "$work/before"
    mkdir "$work/today"
    git ls-files -z | xargs -0 cp --parents -t "$work/today"
    chmod -R u=rwX,go=rX "$work/today" # layers are shared by files of the same mode alone
    # The newest commit on the way to here that has another program, also when what differs is not committed yet.
    for found in $(git rev-list --first-parent HEAD); do
        git diff --quiet "$found" -- "${program[@]}" || {
            mkdir "$work/before"
            git -c tar.umask=0022 archive "$found" | tar --extract --directory "$work/before"
            figure "the commit before is $(git log -1 --format='%h of %cI: %s' "$found")"
            return 0
        }
    done
    figure "NOT RUN: an upgrade from the commit before, and the way back: no history here (git fetch --unshallow)"
}

build() { # build TREE: its image, thirdrail:TREE; the layers of libraries are shared while the locks are the same
    local begin=$SECONDS tree=$1
    docker build --network host --tag "thirdrail:$tree" "$work/$tree" >"$work/build-$tree.log" 2>&1 || {
        tail -n 20 "$work/build-$tree.log" >&2
        return 1
    }
    figure "image of $tree built in $((SECONDS - begin)) s, $(size_of "thirdrail:$tree"), of which base $(size_of python:3.11-slim-bookworm)"
}

[[ $(id -u) == 0 ]] || { figure "wants root"; exit 2; }
[[ -n $mirror ]] || { figure "no Debian mirror in this machine's apt sources"; exit 2; }
trap at_end EXIT
packages
compose_plugin
# Builds are done by the engine's children; they are to leave room for what is measured beside them.
start_engine nice -n 5 -- --iptables=false --ip6tables=false --ip-forward=false --bridge=none || {
    # A machine may not let its root run one; .ci/run says so in its last lines, and a person must know.
    [[ ${THIRDRAIL_ENGINE:-} == optional ]] || exit 1
    figure "NOT RUN: no Docker Engine starts on this machine"
    exit 0
}
base_image
trees
build today
[[ ! -d $work/before ]] || build before
stop_engine
ip netns add "$space"
ip netns exec "$space" ip link set lo up
ip netns exec "$space" sysctl -qw net.ipv4.ip_forward=1
# Not `ip netns exec`, which mounts /sys anew, without the cgroups that an engine wants.
start_engine nsenter --net="/run/netns/$space" --
THIRDRAIL_TREES=$work nsenter --net="/run/netns/$space" .venv/bin/python -m pytest tests/deploy/on_engine.py \
    -q -s --durations=12 --timeout 900 -p no:cacheprovider
figure "all took $SECONDS s"
