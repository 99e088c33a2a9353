#!/bin/sh
# Gives the two accounts of accounts.sql their passwords. PGHOST and its like say where the database is; the image of Postgres
# runs the script after accounts.sql, when it makes its data.
set -eu
: "${ONHAND_OWNER_PASSWORD:?the password of onhand_owner; make one with: openssl rand -hex 32}"
: "${ONHAND_SERVER_PASSWORD:?the password of onhand_server; make one with: openssl rand -hex 32}"
# From the environment and not as arguments, which every account of the machine can see.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-${PGUSER:-postgres}}" --dbname="${POSTGRES_DB:-${PGDATABASE:-postgres}}" <<'SQL'
\getenv owner ONHAND_OWNER_PASSWORD
\getenv server ONHAND_SERVER_PASSWORD
ALTER ROLE onhand_owner PASSWORD :'owner';
ALTER ROLE onhand_server PASSWORD :'server';
SQL
