#!/usr/bin/env bash
# Third Rail in containers, by one command; docs/operations.md tells the rest. `./deploy.sh help` lists what there is.
# Every command may be repeated: what is done already stays done.
#
# Exit codes: 0 done, 1 not well, 2 used wrongly, 3 no docker, 4 no compose, 5 no daemon, 6 a port is taken,
# 7 .env is missing or incomplete, 8 not ready in time, 9 the data folder cannot be used.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
COMPOSE_FILE_PATH=$ROOT/deploy/compose.yaml
ENV_FILE=$ROOT/.env
SECRETS=$ROOT/.secrets
PROFILES="local snowflake rehearsal app"
CALLED=$0

profile=local
wait_seconds=180
agreed=no

fail() { # fail CODE MESSAGE: one line, and out
    printf 'deploy.sh: %s\n' "$2" >&2
    exit "$1"
}

usage() {
    cat <<END
Third Rail in containers.

  $CALLED [--profile NAME] [COMMAND]

  deploy              build, start, wait until it is ready, say where it is (this is what no command means)
  setup               make folders and secrets, and check what deploy needs; start nothing
  start | stop        start what was deployed | end it in order; data and containers stay
  restart             stop, then start
  status              the containers, and Third Rail's own status
  health              /health as it is; 1 when something is not well
  logs [OPTIONS]      what the containers say; for example: logs --follow app
  sql QUERY           one SQL query over the tables
  audit [OPTIONS]     recompute every row from the log and compare
  report [OPTIONS]    what was promised, and what was kept: freshness, availability, records, valid shares
  upgrade             build anew, put the new one in place, wait until it is ready
  backup DIR          copy the data folder into DIR (new or empty), while it is written to
  restore DIR PATH    make a data folder at PATH (new or empty) of the backup in DIR
  cleanup [--data]    take containers, volumes and the image away; with --data the data folder, too (asks)
  help                this

  --profile NAME      local (default: live feeds, Prometheus, Alertmanager, Grafana; no account), snowflake (and rows
                      into Snowflake; wants .env), rehearsal (simulated city, stand-in for Snowflake), app (alone)
  --wait SECONDS      how long deploy, start and upgrade wait for /readyz (default $wait_seconds)
  --yes               cleanup does not ask

  From the environment or .env: THIRDRAIL_DATA (default ./thirdrail-data), THIRDRAIL_CONFIG, THIRDRAIL_PORT (8001),
  THIRDRAIL_COMMAND (run; demo for a simulated New York), PROMETHEUS_PORT, ALERTMANAGER_PORT, GRAFANA_PORT.
END
}

from_env() { # from_env NAME: of the environment, else of .env, else nothing
    local line
    if [[ -n ${!1:-} ]]; then
        printf '%s' "${!1}"
    elif [[ -f $ENV_FILE ]]; then
        line=$(grep -E "^[[:space:]]*(export[[:space:]]+)?$1=" "$ENV_FILE" | tail -n 1) || return 0
        line=${line#*=}
        line=${line%$'\r'}
        case $line in
            \"*\" | \'*\') line=${line:1:${#line}-2} ;;
            *) line=${line%%[[:space:]]#*} ;;
        esac
        printf '%s' "$line"
    fi
}

set_up_variables() {
    local key
    THIRDRAIL_DATA=$(from_env THIRDRAIL_DATA)
    THIRDRAIL_DATA=${THIRDRAIL_DATA:-$ROOT/thirdrail-data}
    [[ $THIRDRAIL_DATA == /* ]] || THIRDRAIL_DATA=$PWD/$THIRDRAIL_DATA
    THIRDRAIL_CONFIG=$(from_env THIRDRAIL_CONFIG)
    if [[ -n $THIRDRAIL_CONFIG ]]; then
        [[ $THIRDRAIL_CONFIG == /* ]] || THIRDRAIL_CONFIG=$PWD/$THIRDRAIL_CONFIG
        [[ -f $THIRDRAIL_CONFIG ]] || fail 2 "THIRDRAIL_CONFIG names $THIRDRAIL_CONFIG, which is not there"
        export THIRDRAIL_CONFIG
    fi
    key=$(from_env SNOWFLAKE_PRIVATE_KEY_PATH)
    [[ -z $key || $key == /* ]] || key=$ROOT/${key#./}
    [[ -z $key ]] || export SNOWFLAKE_PRIVATE_KEY_PATH=$key
    # The files are the caller's; root's containers are nobody's in particular, and root can read all of it.
    if [[ $(id -u) == 0 ]]; then
        THIRDRAIL_UID=${THIRDRAIL_UID:-10001} THIRDRAIL_GID=${THIRDRAIL_GID:-10001}
    else
        THIRDRAIL_UID=$(id -u) THIRDRAIL_GID=$(id -g)
    fi
    export THIRDRAIL_DATA THIRDRAIL_UID THIRDRAIL_GID
    PORT=$(from_env THIRDRAIL_PORT)
    PORT=${PORT:-8001}
}

main_service() {
    case $profile in
        snowflake) echo app-snowflake ;;
        rehearsal) echo app-rehearsal ;;
        *) echo app ;;
    esac
}

compose() {
    local options=(--file "$COMPOSE_FILE_PATH" --profile "$profile")
    [[ ! -f $ENV_FILE ]] || options+=(--env-file "$ENV_FILE")
    docker compose "${options[@]}" "$@"
}

need_docker() {
    command -v docker >/dev/null || fail 3 "docker is not installed: https://docs.docker.com/engine/install/, or run it without: docs/operations.md, systemd"
    docker compose version >/dev/null 2>&1 || fail 4 "docker has no compose plugin (docker compose version fails): https://docs.docker.com/compose/install/"
    docker info >/dev/null 2>&1 || fail 5 "the docker daemon does not answer: is it running (systemctl start docker), and may you use it (group docker)?"
}

need_env() {
    local name missing=()
    [[ $profile == snowflake ]] || return 0
    [[ -f $ENV_FILE ]] || fail 7 "profile snowflake wants $ENV_FILE: cp .env.example .env, and fill in the first part"
    for name in SNOWFLAKE_ACCOUNT SNOWFLAKE_USER SNOWFLAKE_PRIVATE_KEY_PATH; do
        [[ -n $(from_env $name) ]] || missing+=("$name")
    done
    ((${#missing[@]} == 0)) || fail 7 "$ENV_FILE does not set ${missing[*]}"
    [[ -r $SNOWFLAKE_PRIVATE_KEY_PATH ]] || fail 7 "the private key $SNOWFLAKE_PRIVATE_KEY_PATH cannot be read"
}

is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port_of() { # port_of NAME DEFAULT
    local found
    found=$(from_env "$1")
    echo "${found:-$2}"
}

need_no_other() { # one folder has one writer, and one machine one port 8001
    local other
    other=$(docker ps --filter label=com.docker.compose.project=thirdrail --filter status=running \
        --format '{{.Label "com.docker.compose.service"}}' | grep -E '^app' | grep -vx "$(main_service)" | head -n 1) ||
        return 0
    other=${other#app}
    other=${other#-}
    fail 6 "profile ${other:-local or app} is running: $CALLED --profile ${other:-local} stop"
}

need_ports() { # those that are not already ours
    local name default wanted taken="" mine
    mine=$(compose ps --quiet 2>/dev/null || true)
    [[ -z $mine ]] || return 0
    local ports=("THIRDRAIL_PORT 8001")
    [[ $profile != local && $profile != snowflake ]] ||
        ports+=("PROMETHEUS_PORT 9090" "ALERTMANAGER_PORT 9093" "GRAFANA_PORT 3000")
    for wanted in "${ports[@]}"; do
        read -r name default <<<"$wanted"
        default=$(port_of "$name" "$default")
        [[ $default =~ ^[0-9]+$ ]] || fail 2 "$name is no port: $default"
        ! is_listening "$default" || taken+=" $default ($name)"
    done
    [[ -z $taken ]] || fail 6 "taken on 127.0.0.1:$taken; free it, or set another: $name=$((default + 10000)) $CALLED"
}

own() { # own DIR: make it, and the containers' user's when we are root
    mkdir -p "$1" 2>/dev/null || fail 9 "$1 cannot be made"
    if [[ $(id -u) == 0 && $(stat -c %u "$1") != "$THIRDRAIL_UID" ]]; then
        [[ -z $(ls -A "$1") ]] ||
            fail 9 "$1 is another user's, with files in it: chown -R $THIRDRAIL_UID:$THIRDRAIL_GID $1, or give THIRDRAIL_UID and THIRDRAIL_GID"
        chown "$THIRDRAIL_UID:$THIRDRAIL_GID" "$1"
    fi
    [[ $(id -u) == 0 || -w $1 ]] || fail 9 "$1 cannot be written by you"
}

make_folders() {
    local slack
    own "$THIRDRAIL_DATA"
    [[ $profile != rehearsal ]] || own "$THIRDRAIL_DATA.emulator"
    [[ $profile == local || $profile == snowflake ]] || return 0
    # The outer folder is closed to other people of this machine; inside, the containers' own users must read.
    (umask 077 && mkdir -p "$SECRETS")
    chmod 700 "$SECRETS"
    mkdir -p "$SECRETS/alertmanager" "$SECRETS/grafana"
    chmod 755 "$SECRETS/alertmanager" "$SECRETS/grafana"
    slack=$(from_env SLACK_WEBHOOK_URL)
    [[ -z $slack ]] || put_secret "$SECRETS/alertmanager/slack_url" "$slack"
    [[ -s $SECRETS/grafana/admin_password ]] ||
        put_secret "$SECRETS/grafana/admin_password" "$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')"
}

put_secret() { # put_secret FILE TEXT
    printf '%s' "$2" >"$1.new"
    chmod 644 "$1.new"
    mv -f "$1.new" "$1"
}

ask() { # ask PATH: the body of a path of the health port, 1 when not well, 7 when nobody answers
    # By bash itself: curl is not everywhere. HTTP/1.0, so that the answer ends with the connection.
    local answer
    answer=$( (
        exec 3<>"/dev/tcp/127.0.0.1/$PORT" || exit 7
        printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$1" >&3
        timeout 5 cat <&3
    ) 2>/dev/null) || return 7
    [[ -n $answer ]] || return 7
    printf '%s\n' "${answer#*$'\r\n\r\n'}"
    [[ ${answer%%$'\r'*} == *" 200 "* ]]
}

wait_until_ready() {
    local begin=$SECONDS state
    printf 'waiting for http://127.0.0.1:%s/readyz (at most %s s)\n' "$PORT" "$wait_seconds"
    until ask /readyz >/dev/null; do
        state=$(compose ps --all --format '{{.State}}' "$(main_service)" 2>/dev/null | head -n 1)
        if [[ $state == exited || $state == dead || $state == restarting ]]; then
            compose logs --no-log-prefix --tail 5 "$(main_service)" >&2 || true
            fail 8 "Third Rail has ended ($state); its last words stand above"
        fi
        ((SECONDS - begin < wait_seconds)) ||
            fail 8 "not ready within $wait_seconds s: $(ask /readyz | tr -s ' \n' ' ' || true) ($CALLED logs)"
        sleep 1
    done
    printf 'ready after %s s\n' "$((SECONDS - begin))"
}

say_addresses() {
    local with=""
    [[ $profile == local ]] || with=" --profile $profile"
    printf '\n  health and metrics  http://127.0.0.1:%s/health\n' "$PORT"
    if [[ $profile == local || $profile == snowflake ]]; then
        printf '  Prometheus          http://127.0.0.1:%s\n' "$(port_of PROMETHEUS_PORT 9090)"
        printf '  Alertmanager        http://127.0.0.1:%s\n' "$(port_of ALERTMANAGER_PORT 9093)"
        printf '  Grafana             http://127.0.0.1:%s  (admin: %s)\n' "$(port_of GRAFANA_PORT 3000)" ".secrets/grafana/admin_password"
    fi
    printf '  data                %s\n\nThe next trains at Times Sq-42 St:\n\n' "$THIRDRAIL_DATA"
    printf '  %s%s sql "SELECT route_id, towards, minutes_away, arrival_local FROM predictions_now WHERE stop_name = '\''Times Sq-42 St'\'' AND minutes_away >= 0 ORDER BY minutes_away LIMIT 10"\n' "$CALLED" "$with"
}

setup() {
    need_docker
    need_env
    make_folders
    compose config --quiet || fail 2 "the configuration does not hold together; what docker compose said stands above"
}

deploy() {
    setup
    need_no_other
    need_ports
    compose build "$(main_service)"
    compose up --detach --no-build --remove-orphans
    wait_until_ready
    say_addresses
}

start() {
    setup
    need_no_other
    need_ports
    compose up --detach --no-build
    wait_until_ready
}

stop() {
    need_docker
    compose stop
}

upgrade() { # the old one ends in order, the new one goes on where it ended: an upgrade is a restart
    setup
    compose build "$(main_service)"
    compose up --detach --no-build --remove-orphans
    wait_until_ready
}

is_running() { [[ -n $(compose ps --quiet --status running "$(main_service)" 2>/dev/null) ]]; }

thirdrail() { # thirdrail ARGUMENTS...: in the running container, else in one of its own that goes away
    local terminal=()
    [[ -t 0 && -t 1 ]] || terminal=(--no-TTY)
    if is_running; then
        compose exec ${terminal[@]+"${terminal[@]}"} "$(main_service)" thirdrail "$@"
    else
        one_off "$@"
    fi
}

one_off() { # one_off ARGUMENTS...: beside it, with $mounts more folders; without a network: all is in the folder
    local terminal=()
    [[ ! -t 0 || ! -t 1 ]] || terminal=(--interactive --tty)
    docker run --rm ${terminal[@]+"${terminal[@]}"} --network none --read-only --tmpfs /tmp:size=64m,mode=1777 \
        --cap-drop ALL --security-opt no-new-privileges --user "$THIRDRAIL_UID:$THIRDRAIL_GID" \
        --volume "$THIRDRAIL_DATA:$THIRDRAIL_DATA" ${mounts[@]+"${mounts[@]}"} --no-healthcheck \
        "$(image)" "$@"
}

image() {
    local name
    name=$(from_env THIRDRAIL_IMAGE)
    echo "${name:-thirdrail:local}"
}

need_data() { [[ -d $THIRDRAIL_DATA ]] || fail 9 "$THIRDRAIL_DATA is not there: nothing was deployed yet"; }

status() {
    need_docker
    compose ps --all
    need_data
    thirdrail status --data "$THIRDRAIL_DATA"
}

health() {
    local code=0
    ask /health || code=$?
    ((code != 7)) || fail 1 "nobody answers at 127.0.0.1:$PORT"
    return $code
}

absolute() { [[ $1 == /* ]] && printf '%s' "$1" || printf '%s/%s' "$PWD" "$1"; }

backup() {
    (($# == 1)) || fail 2 "backup wants a folder: $CALLED backup DIR"
    local target
    target=$(absolute "$1")
    need_docker
    need_data
    [[ ! -e $target || -d $target ]] || fail 2 "$target is a file"
    [[ ! -d $target || -z $(ls -A "$target") ]] || fail 2 "$target is not empty: a backup overwrites nothing"
    own "$target"
    mounts=(--volume "$target:$target")
    one_off backup "$target" --data "$THIRDRAIL_DATA"
}

restore() {
    (($# == 2)) || fail 2 "restore wants two folders: $CALLED restore DIR PATH"
    local source data
    source=$(absolute "$1") data=$(absolute "$2")
    need_docker
    [[ -d $source ]] || fail 2 "$source is not there"
    [[ ! -d $data || -z $(ls -A "$data") ]] || fail 2 "$data is not empty: a restore overwrites nothing"
    own "$data"
    THIRDRAIL_DATA=$data
    mounts=(--volume "$source:$source:ro")
    one_off restore "$source" --data "$data"
    printf 'to go on there: THIRDRAIL_DATA=%q %s\n' "$data" "$CALLED"
}

cleanup() {
    local answer="" with_data=no
    case ${1:-} in
        "") ;;
        --data) with_data=yes ;;
        *) fail 2 "cleanup takes --data and nothing else" ;;
    esac
    need_docker
    if [[ $agreed != yes ]]; then
        printf 'containers, volumes (what Prometheus, Alertmanager and Grafana keep) and the image go'
        [[ $with_data == no ]] || printf ', and ALL DATA in %s' "$THIRDRAIL_DATA"
        printf '. Sure? [y/N] '
        read -r answer || true
        [[ $answer == [yY]* ]] || fail 1 "nothing was deleted"
    fi
    for profile in $PROFILES; do compose down --volumes --remove-orphans; done
    ! docker image inspect "$(image)" >/dev/null 2>&1 || docker image rm "$(image)" >/dev/null
    if [[ $with_data == yes ]]; then
        [[ ! -d $THIRDRAIL_DATA || -f $THIRDRAIL_DATA/thirdrail.json || -z $(ls -A "$THIRDRAIL_DATA") ]] ||
            fail 9 "$THIRDRAIL_DATA holds no thirdrail.json: not ours, not deleted"
        rm -rf -- "$THIRDRAIL_DATA" "$THIRDRAIL_DATA.emulator"
    else
        printf 'the data stays: %s\n' "$THIRDRAIL_DATA"
    fi
}

main() {
    local arguments=() command
    while (($#)); do
        case $1 in
            --profile)
                (($# > 1)) || fail 2 "--profile wants a name: $PROFILES"
                profile=$2
                shift
                ;;
            --profile=*) profile=${1#*=} ;;
            --wait)
                (($# > 1)) || fail 2 "--wait wants seconds"
                wait_seconds=$2
                shift
                ;;
            --wait=*) wait_seconds=${1#*=} ;;
            --yes) agreed=yes ;;
            -h | --help) arguments+=(help) ;;
            *)
                arguments+=("$1")
                # What follows these is theirs.
                case ${arguments[0]} in
                    sql | audit | report | logs)
                        shift
                        arguments+=("$@")
                        break
                        ;;
                esac
                ;;
        esac
        shift
    done
    [[ " $PROFILES " == *" $profile "* ]] || fail 2 "there is no profile $profile: $PROFILES"
    [[ $wait_seconds =~ ^[0-9]+$ ]] || fail 2 "--wait wants whole seconds, not $wait_seconds"
    command=${arguments[0]:-deploy}
    set -- ${arguments[@]+"${arguments[@]:1}"}
    set_up_variables
    mounts=()
    case $command in
        setup | deploy | start | stop | restart | status | health | upgrade)
            (($# == 0)) || fail 2 "$command takes no argument: $1"
            ;;
    esac
    case $command in
        setup)
            setup
            printf 'all there: %s deploy\n' "$CALLED"
            ;;
        deploy | start | stop | status | health | upgrade) "$command" ;;
        backup | restore | cleanup) "$command" "$@" ;;
        restart)
            stop
            start
            ;;
        logs)
            need_docker
            compose logs "$@"
            ;;
        sql)
            (($# > 0)) || fail 2 "sql wants a query"
            need_docker
            need_data
            thirdrail sql --data "$THIRDRAIL_DATA" "$@"
            ;;
        audit | report)
            need_docker
            need_data
            thirdrail "$command" --data "$THIRDRAIL_DATA" "$@"
            ;;
        help) usage ;;
        *) fail 2 "there is no command $command: $CALLED help" ;;
    esac
}

main "$@"
