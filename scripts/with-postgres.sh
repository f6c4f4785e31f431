#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own, which it finds under AIONE_TEST_POSTGRES, and stops that
# server whatever becomes of the command.
#   scripts/with-postgres.sh cargo nextest run -p aione-gateway store::
set -euo pipefail

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
[ -n "$bin" ] || bin=$(dirname "$(readlink -f "$(command -v postgres)")")
folder=$(mktemp -d "${TMPDIR:-/tmp}/aione-postgres.XXXXXX")
# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown postgres "$folder"
fi

stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$folder"
"${as[@]}" "$bin/initdb" -D data -U aione -A trust -E UTF8 --locale=C.UTF-8 --no-sync >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
# Any free port: another process may take one that was found free, so a few are tried.
for _ in 1 2 3 4 5; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  # Nothing here is worth a sync; what is tried for its durability has a server of its own.
  if "${as[@]}" "$bin/pg_ctl" -D data -w -t 60 -l server.log -o "-c listen_addresses=127.0.0.1 -c port=$port \
    -c unix_socket_directories=$folder -c fsync=off -c full_page_writes=off -c max_connections=400" start >/dev/null; then
    started=1
    break
  fi
done
[ -n "${started:-}" ] || { cat server.log >&2; exit 1; }
cd - >/dev/null
export AIONE_TEST_POSTGRES="postgres://aione@127.0.0.1:$port/postgres"
"$@"
