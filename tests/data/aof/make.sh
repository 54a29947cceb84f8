#!/bin/sh
# Makes base.rdb and base.aof beside it from base.commands, with a real redis-server (they were made with 7.0.15): the
# same data set as a snapshot, and as the base of an AOF that holds commands. The tests read the results only; nothing
# needs this script unless the commands change.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
server=${REDIS_SERVER:-redis-server}
cli=${REDIS_CLI:-redis-cli}
dir=$(mktemp -d)

"$server" --port 0 --unixsocket "$dir/sock" --dir "$dir" --save "" --daemonize no --appendonly yes \
    --aof-use-rdb-preamble no --auto-aof-rewrite-percentage 0 >"$dir/log" &
pid=$!
until "$cli" -s "$dir/sock" ping >/dev/null 2>&1; do sleep 0.1; done
"$cli" -s "$dir/sock" <"$here/base.commands" >"$dir/replies"
grep -n ERR "$dir/replies" && exit 1
"$cli" -s "$dir/sock" save >/dev/null
"$cli" -s "$dir/sock" bgrewriteaof >/dev/null
until grep -q "base.aof seq 2 type b" "$dir/appendonlydir/appendonly.aof.manifest"; do sleep 0.1; done
mv "$dir/dump.rdb" "$here/base.rdb"
mv "$dir/appendonlydir/appendonly.aof.2.base.aof" "$here/base.aof"
kill "$pid"
wait "$pid" || true
rm -r "$dir"
