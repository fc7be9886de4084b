#!/usr/bin/env bash
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB as in the public image; other settings of it are not known here.
set -euo pipefail
if [[ ! -s $PGDATA/PG_VERSION ]]; then
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 --auth-local=trust >/dev/null
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl --silent --wait -o "-c listen_addresses=''" start
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --silent --wait stop
fi
exec postgres -c listen_addresses='*'
