#!/bin/sh
# Makes the .rdb files beside it from the .commands files, with a real redis-server (they were made with 7.0.15).
# The tests read the results only; nothing needs this script unless the commands change.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
server=${REDIS_SERVER:-redis-server}
cli=${REDIS_CLI:-redis-cli}
dir=$(mktemp -d)

make() { # name, commands, maxmemory-policy, further options
    name=$1 commands=$2 policy=$3
    shift 3
    "$server" --port 0 --unixsocket "$dir/sock" --dir "$dir" --save "" --daemonize no --enable-debug-command yes \
        --maxmemory-policy "$policy" "$@" >"$dir/log" &
    pid=$!
    until "$cli" -s "$dir/sock" ping >/dev/null 2>&1; do sleep 0.1; done
    "$cli" -s "$dir/sock" <"$here/$commands" >"$dir/replies"
    "$cli" -s "$dir/sock" save >/dev/null
    kill "$pid"
    wait "$pid" || true
    mv "$dir/dump.rdb" "$here/$name.rdb"
    grep -n ERR "$dir/replies" && exit 1
    return 0
}

make strings strings.commands noeviction
make strings-plain strings.commands noeviction --rdbcompression no --rdbchecksum no
make lists lists.commands noeviction
make lru access.commands allkeys-lru
make lfu access.commands volatile-lfu
make types types.commands noeviction
rm -r "$dir"
