#!/bin/sh
# Makes one database with an owner of its own for Airflow and one for the ledger. Postgres runs this once, on an empty
# data folder. Passwords come from the pgpass file, so that no command line ever holds one.
set -eu

password_of() {
    awk -F: -v database="$1" '$3 == database { print $5 }' "$PGPASSFILE"
}

for database in airflow ledger; do
    password="$(password_of "$database")"
    if [ -z "$password" ]; then
        echo "databases.sh: no password for $database in $PGPASSFILE" >&2
        exit 1
    fi
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
CREATE ROLE $database LOGIN PASSWORD '$password';
CREATE DATABASE $database OWNER $database;
REVOKE ALL ON DATABASE $database FROM PUBLIC;
SQL
done
