#!/bin/bash
# PostgreSQL on loopback, for tests: a data folder of its own, nothing of the system's cluster; no systemd.
#   postgres.sh start DIR PORT    user and database "prefect", no password; DIR must not exist yet
#   postgres.sh stop DIR
# Needs Debian's postgresql. PostgreSQL refuses to run as root: started by root, it runs as the user postgres.
set -euo pipefail

PATH=$PATH:$(printf '%s:' /usr/lib/postgresql/*/bin)

as_owner() {
  if [ "$(id -u)" -ne 0 ]; then "$@"; return; fi
  setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$dir" PATH="$PATH" "$@"
}

stop() {
  [ ! -s "$dir/data/postmaster.pid" ] || as_owner pg_ctl --pgdata="$dir/data" --mode=immediate --wait stop
}

start() {
  local port=$1
  mkdir -p "$dir"
  [ "$(id -u)" -ne 0 ] || chown postgres: "$dir"
  {
    as_owner initdb --pgdata="$dir/data" --username=prefect --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync
    as_owner pg_ctl --pgdata="$dir/data" --log="$dir/log" --wait --timeout=240 \
      --options="-c listen_addresses=127.0.0.1 -p $port -k $dir -c fsync=off -c max_connections=200" start
    as_owner createdb --host=127.0.0.1 --port="$port" --username=prefect prefect
  } > "$dir.start.log" 2>&1 < /dev/null || { tail -5 "$dir.start.log" >&2; stop; return 1; }
}

dir=${2:-}
case "${1:-}" in
  start) cd /; start "$3" ;;
  stop) cd /; stop ;;
  *) echo "usage: $0 start DIR PORT | stop DIR" >&2; exit 2 ;;
esac
