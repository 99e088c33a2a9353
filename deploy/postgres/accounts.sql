-- Makes the two accounts of Onhand in the database that the script is connected to:
--
--   onhand_owner    owns the tables. Only `onhand migrate` uses it.
--   onhand_server   reads and writes rows. Every other command uses it. It cannot change a table or a trigger, so the
--                   ledger stays append-only for it.
--
-- Run it before the first `onhand migrate`, as an account that may create roles:
--
--   psql --set=ON_ERROR_STOP=1 --file=deploy/postgres/accounts.sql "$ADMIN_DATABASE_URL"
--
-- Neither account has a password yet: give each one with \password. The script may run again.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'onhand_owner') THEN
        CREATE ROLE onhand_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'onhand_server') THEN
        CREATE ROLE onhand_server LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
    -- An import keeps its rows in temporary tables.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO onhand_owner, onhand_server', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO onhand_owner;
GRANT USAGE ON SCHEMA public TO onhand_server;

ALTER DEFAULT PRIVILEGES FOR ROLE onhand_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO onhand_server;
ALTER DEFAULT PRIVILEGES FOR ROLE onhand_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO onhand_server;
ALTER DEFAULT PRIVILEGES FOR ROLE onhand_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO onhand_server;

-- A statement of the server never takes longer than this, whatever its own deadlines are.
ALTER ROLE onhand_server SET statement_timeout = '5min';
ALTER ROLE onhand_server SET lock_timeout = '30s';
ALTER ROLE onhand_server SET idle_in_transaction_session_timeout = '10min';
-- The sessions of an instance that the network has cut off end after half a minute. By the default of the kernel they stay,
-- and count as connections, for two hours. Over a Unix socket these settings do nothing.
-- The last one also ends a session whose client does not read its answer for so long; an export switches it off for its own.
ALTER ROLE onhand_server SET tcp_keepalives_idle = '15s';
ALTER ROLE onhand_server SET tcp_keepalives_interval = '5s';
ALTER ROLE onhand_server SET tcp_keepalives_count = 3;
ALTER ROLE onhand_server SET tcp_user_timeout = '30s';
