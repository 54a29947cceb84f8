#!/usr/bin/env bash
# Installs the built programs: scripts/install.sh PREFIX
#
#   PREFIX/bin                   the programs that have been built
#   PREFIX/etc/redis.conf        the shipped configuration, its data folder and pid file below PREFIX/var
#   PREFIX/var                   data; the server's user owns it
#   PREFIX/lib/systemd/system    redstart.service
#
# It can be run again at any time: what is the same is left alone, and a configuration file that somebody changed is
# kept (the new one is put beside it as redis.conf.new). Nothing is started and no system setting is changed.
# BIN_DIR names another folder of built programs (default: target/release), SERVICE_USER another user (default: redis).
set -euo pipefail

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }

# systemd and redis.conf split words at blanks.
if [ $# -ne 1 ] || [[ $1 == -* || $1 == *[[:space:]]* ]]; then
    usage
    exit 1
fi

root=$(cd "$(dirname "$0")/.." && pwd)
bin_dir=${BIN_DIR:-${CARGO_TARGET_DIR:-$root/target}/release}
user=${SERVICE_USER:-redis}
programs="redis-server redis-sentinel redis-cli redis-benchmark redis-stat redis-check-aof redis-check-rdb redis-check-dump"

if [ ! -x "$bin_dir/redis-server" ]; then
    echo "install: no redis-server in $bin_dir; build it first: cargo build --release" >&2
    exit 1
fi

mkdir -p "$1"
prefix=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# place SOURCE TARGET MODE: writes the file when it differs, and says what was done.
place() {
    if cmp -s "$1" "$2"; then
        echo "same   $2"
    else
        install -m "$3" "$1" "$2"
        echo "wrote  $2"
    fi
}

# link TARGET NAME: makes a symbolic link, and says what was done.
link() {
    if [ "$(readlink "$2")" = "$1" ]; then
        echo "same   $2"
    else
        ln -sfn "$1" "$2"
        echo "made   $2 -> $1"
    fi
}

folder() {
    if [ -d "$1" ]; then
        echo "same   $1/"
    else
        install -d -m "$2" "$1"
        echo "made   $1/"
    fi
}

folder "$prefix/bin" 755
for program in $programs; do
    if [ -x "$bin_dir/$program" ]; then
        place "$bin_dir/$program" "$prefix/bin/$program" 755
    fi
done
# One program by two names.
if [ ! -e "$bin_dir/redis-check-rdb" ] && [ -x "$bin_dir/redis-check-dump" ]; then
    link redis-check-dump "$prefix/bin/redis-check-rdb"
fi

# The shipped file, with this installation's paths after it: the later line counts.
folder "$prefix/etc" 755
{
    cat "$root/conf/redis.conf"
    printf '\n# Paths of this installation.\ndir %s/var\npidfile %s/var/redis.pid\n' "$prefix" "$prefix"
} >"$work/redis.conf"
conf=$prefix/etc/redis.conf
if [ ! -e "$conf" ] || cmp -s "$work/redis.conf" "$conf"; then
    rm -f "$conf.new"
    place "$work/redis.conf" "$conf" 640
else
    place "$work/redis.conf" "$conf.new" 640
    echo "kept   $conf (it was changed here; the shipped one is redis.conf.new)"
fi

folder "$prefix/var" 750
if [ "$(id -u)" = 0 ] && id -u "$user" >/dev/null 2>&1; then
    # The server rewrites its configuration when CONFIG REWRITE asks for it.
    chown "$user" "$prefix/var" "$conf"
fi

folder "$prefix/lib/systemd/system" 755
cat >"$work/redstart.service" <<UNIT
[Unit]
Description=Redstart, an in-memory data store that speaks the Redis protocol
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=$user
ExecStart=$prefix/bin/redis-server $conf --supervised systemd --daemonize no
WorkingDirectory=$prefix/var
# Loading and the last save may take long: the server says when it is ready and when it has ended.
TimeoutStartSec=infinity
TimeoutStopSec=infinity
Restart=on-failure
LimitNOFILE=65535
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
ReadWritePaths=$prefix/etc $prefix/var

[Install]
WantedBy=multi-user.target
UNIT
unit=$prefix/lib/systemd/system/redstart.service
place "$work/redstart.service" "$unit" 644

echo
echo "start by hand:    $prefix/bin/redis-server $conf"
echo "start by systemd: systemctl enable --now $unit"
if ! id -u "$user" >/dev/null 2>&1; then
    echo "the unit runs as user $user, which does not exist yet:"
    echo "                  useradd --system --home-dir $prefix/var --shell /usr/sbin/nologin $user && chown $user $prefix/var"
fi
