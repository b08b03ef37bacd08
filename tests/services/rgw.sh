#!/bin/bash
# Ceph's object gateway on loopback, for tests: one monitor, one in-memory OSD, one gateway; no root, no systemd.
#   rgw.sh start DIR PORT MON_PORT    keys testing / testing123, region "default"; DIR must not exist yet
#   rgw.sh restart-gateway DIR        the gateway alone; what it kept for others is in the OSD
#   rgw.sh stop DIR
# Needs Debian's radosgw, ceph-mon, ceph-osd (apt-get install --no-install-recommends).
set -euo pipefail

stop() {
  # The OSD first and at once: asked politely, it waits for a monitor that is going away too.
  end "$1" osd.0
  end "$1" client.rgw
  end "$1" mon.a
}

end() {
  local dir=$1 pid pidfile=$1/$2.pid
  [ -s "$pidfile" ] || return 0
  pid=$(cat "$pidfile")
  # Only a process that this script started: its command line names DIR.
  if tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$dir/"; then kill -9 "$pid" || true; fi
}

restart_gateway() {
  local dir=$1 conf=$1/ceph.conf port
  port=$(sed -n 's/^rgw frontends = .*:\([0-9]*\)$/\1/p' "$conf")
  end "$dir" client.rgw
  {
    wait_for 240 bash -c "! (exec 3<>/dev/tcp/127.0.0.1/$port)"
    radosgw -c "$conf" -n client.rgw
    wait_for 240 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
  } >> "$dir/log/start.log" 2>&1 || { tail -5 "$dir/log/start.log" >&2; return 1; }
}

start() {
  local dir=$1 port=$2 mon_port=$3 fsid osd_uuid conf
  mkdir -p "$dir"/{mon,osd,log,rgw}
  fsid=$(cat /proc/sys/kernel/random/uuid)
  osd_uuid=$(cat /proc/sys/kernel/random/uuid)
  conf=$dir/ceph.conf
  cat > "$conf" <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$mon_port/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $dir/keyring
run dir = $dir
admin socket = $dir/\$name.\$pid.asok
log file = $dir/log/\$name.log
pid file = $dir/\$name.pid
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = $dir/mon/a
[osd.0]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd class load list = *
[client.rgw]
rgw data = $dir/rgw
rgw frontends = beast endpoint=127.0.0.1:$port
rgw dns name = localhost
rgw enable usage log = false
rgw thread pool size = 64
CONF
  {
    ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool "$dir/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
    ceph-authtool "$dir/keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw'
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap"
    ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
    ceph-mon -c "$conf" -i a
    ceph -c "$conf" --connect-timeout 240 osd new "$osd_uuid" 0
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd_uuid"
    ceph-osd -c "$conf" -i 0
    wait_for 240 sh -c "ceph -c '$conf' osd stat | grep -q '1 up'"
    radosgw -c "$conf" -n client.rgw
    wait_for 240 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
    radosgw-admin -c "$conf" -n client.rgw user create --uid=test --display-name=test \
      --access-key=testing --secret-key=testing123
    radosgw-admin -c "$conf" -n client.rgw user create --uid=other --display-name=other \
      --access-key=other --secret-key=other123
  } >> "$dir/log/start.log" 2>&1 || { tail -5 "$dir/log/start.log" >&2; stop "$dir"; return 1; }
}

wait_for() {
  local tries=$(( $1 * 4 )); shift
  until "$@" 2>/dev/null; do
    tries=$((tries - 1)); [ "$tries" -gt 0 ] || return 1
    sleep 0.25
  done
}

case "${1:-}" in
  start) start "$2" "$3" "$4" ;;
  restart-gateway) restart_gateway "$2" ;;
  stop) stop "$2" ;;
  *) echo "usage: $0 start DIR PORT MON_PORT | restart-gateway DIR | stop DIR" >&2; exit 2 ;;
esac
