-- +goose Up

-- The inventory tables on Postgres.
--
-- Any program may write these tables with SQL. Triggers then do what Onhand needs: they give a changed product a new
-- version, add it to the outbox, and record in the ledger what an outside writer did. Onhand's own transactions do part
-- of this themselves; section 9 says which part.
--
--  1. Domains                      9. Writers
--  2. Meta                        10. Triggers on stock levels
--  3. Locations and channels      11. Triggers on products
--  4. Products and stock levels   12. Triggers on locations and channels
--  5. Reservations                13. Refused changes
--  6. Ledger                      14. Optimistic batches
--  7. Counts                      15. Block range indexes
--  8. Outbox, idempotency keys
--
-- Every writer locks in one order: holders, reservations, stock levels by product and location, products by id.


-- 1. Domains ---------------------------------------------------------------------------------------------------------
--
-- Postgres parses and plans a table's CHECK for each statement that writes the table, whichever columns it writes. It
-- plans a domain's CHECK once a session and runs it for written columns only. The error message quotes the name of the
-- constraint, so the name says what is allowed.

-- The id of a product is its global id too. The API and files refuse ids of other types with a message.
CREATE DOMAIN onhand_id AS text COLLATE "C" CONSTRAINT "1 to 255 characters" CHECK (length(VALUE) BETWEEN 1 AND 255)
    CONSTRAINT "no id of another type" CHECK (VALUE !~ '^(onhand:|res_[0-9a-f]{32}$)');
CREATE DOMAIN onhand_quantity AS integer CONSTRAINT "0 to 1000000000" CHECK (VALUE BETWEEN 0 AND 1000000000);
CREATE DOMAIN onhand_limit AS integer CONSTRAINT "1 to 1000000000" CHECK (VALUE BETWEEN 1 AND 1000000000);
CREATE DOMAIN onhand_period AS integer CONSTRAINT "60 to 31622400" CHECK (VALUE BETWEEN 60 AND 31622400);
CREATE DOMAIN onhand_floor AS integer CONSTRAINT "0 or less" CHECK (VALUE <= 0);
-- Below 2^52, and the revision of a channel below 2^26: so the version of a channel's view is below 2^53.
CREATE DOMAIN onhand_version AS bigint CONSTRAINT "more than 0, below 2^52" CHECK (VALUE BETWEEN 1 AND 4503599627370495);
CREATE DOMAIN onhand_revision AS bigint CONSTRAINT "more than 0, below 2^26" CHECK (VALUE BETWEEN 1 AND 67108863);
CREATE DOMAIN onhand_policy AS text CONSTRAINT "DENY or CONTINUE" CHECK (VALUE IN ('DENY', 'CONTINUE'));
CREATE DOMAIN onhand_state AS text CONSTRAINT "a state of reservations" CHECK (VALUE IN ('ACTIVE', 'COMMITTED', 'FULFILLED', 'RELEASED', 'EXPIRED', 'CANCELLED'));
CREATE DOMAIN onhand_key AS bytea CONSTRAINT "16 bytes" CHECK (length(VALUE) = 16);
-- A JSON object of at most 250 channel ids and their units. STRICT: a product without one is not looked at.
-- +goose StatementBegin
CREATE FUNCTION valid_buffers(buffers text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT count(*) <= 250 AND coalesce(bool_and(length(key) BETWEEN 1 AND 255
        AND CASE WHEN value::text ~ '^[0-9]{1,10}$' THEN value::text::bigint <= 1000000000 ELSE false END), true)
    FROM jsonb_each(buffers::jsonb)
$$;
-- +goose StatementEnd
CREATE DOMAIN onhand_buffers AS text CONSTRAINT "units by channel" CHECK (valid_buffers(VALUE));
-- RFC 3339 cannot write infinity or other years.
CREATE DOMAIN onhand_time AS timestamptz CONSTRAINT "years 1 to 9999" CHECK (VALUE >= '0001-01-01Z' AND VALUE < '10000-01-01Z');


-- 2. Meta ------------------------------------------------------------------------------------------------------------

-- One row about the database itself.
CREATE TABLE onhand_meta (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The epoch changes when the database or Redis went back in time. No cache trusts a value of another epoch.
    epoch              text   NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    -- The secret makes reservation ids unguessable although they are derived from idempotency keys.
    reservation_secret text   NOT NULL DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
    -- The directory is all locations and channels. Its version grows when one of them changes.
    directory_version  bigint NOT NULL DEFAULT 1,
    -- The highest revision of a channel that was deleted. A new channel, which may have the same id, begins after it.
    deleted_channel_revision bigint NOT NULL DEFAULT 0,
    -- The demo shop was loaded into this database when it was empty. Simulated shoppers work nowhere else.
    demo               boolean NOT NULL DEFAULT false,
    -- The last migration that a program must know to work on these tables. Only a migration that removes something sets it.
    migration_needed   bigint NOT NULL DEFAULT 1
);
INSERT INTO onhand_meta DEFAULT VALUES;


-- 3. Locations and channels ------------------------------------------------------------------------------------------

CREATE TABLE locations (
    location_id text COLLATE "C" PRIMARY KEY CHECK (length(location_id) BETWEEN 1 AND 255),
    name        text    NOT NULL,
    priority    integer NOT NULL DEFAULT 100, -- a reservation takes the smallest first
    active      boolean NOT NULL DEFAULT true,
    pickup      boolean NOT NULL DEFAULT false
);

CREATE TABLE channels (
    channel_id text COLLATE "C" PRIMARY KEY CHECK (length(channel_id) BETWEEN 1 AND 255),
    name       text NOT NULL,
    -- The rule by which the channel's reservations choose locations.
    sourcing   text NOT NULL DEFAULT 'PRIORITY' CHECK (sourcing IN ('PRIORITY', 'FEWEST_LOCATIONS')),
    -- How many units of a product's total over its locations the channel keeps back.
    buffer     onhand_quantity NOT NULL DEFAULT 0,
    -- The revision grows when the channel or its list of locations changes. Only triggers increment it.
    revision   onhand_revision NOT NULL DEFAULT 1
);

CREATE TABLE channel_locations (
    channel_id  text COLLATE "C" NOT NULL REFERENCES channels ON DELETE CASCADE,
    location_id text COLLATE "C" NOT NULL REFERENCES locations ON DELETE CASCADE,
    PRIMARY KEY (channel_id, location_id)
);


-- 4. Products and stock levels ---------------------------------------------------------------------------------------
--
-- Half of each page stays free (fillfactor), so that an UPDATE finds room on the same page and adds no index entry.

CREATE TABLE products (
    product_id          onhand_id       PRIMARY KEY,
    title               text,
    tracked             boolean         NOT NULL DEFAULT true,
    inventory_policy    onhand_policy   NOT NULL DEFAULT 'DENY',
    backorder_limit     onhand_quantity,
    low_stock_threshold onhand_quantity NOT NULL DEFAULT 5,
    max_per_reservation onhand_limit,
    -- How many units one holder may have, in active reservations and in orders of the period.
    max_per_owner       onhand_limit,
    owner_period        onhand_period, -- in seconds; NULL for a day
    next_restock_at     onhand_time,
    -- The product's own buffers, by channel, as JSON: {"web": 5}. The channel's buffer applies to all other products.
    channel_buffers     onhand_buffers,
    -- The version grows with every change of the product, its levels, or the locations of its levels.
    version             onhand_version  NOT NULL DEFAULT 1,
    -- The settings revision grows when the settings or the list of levels change, and stays when only quantities do.
    -- A conditional decrement compares it instead of the version. Only triggers increment it.
    settings_revision   bigint          NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

CREATE TABLE stock_levels (
    product_id      text COLLATE "C" NOT NULL REFERENCES products,
    location_id     text COLLATE "C" NOT NULL REFERENCES locations,
    available       integer         NOT NULL DEFAULT 0,
    reserved        onhand_quantity NOT NULL DEFAULT 0,
    committed       onhand_quantity NOT NULL DEFAULT 0,
    damaged         onhand_quantity NOT NULL DEFAULT 0,
    quality_control onhand_quantity NOT NULL DEFAULT 0,
    safety_stock    onhand_quantity NOT NULL DEFAULT 0,
    incoming        onhand_quantity NOT NULL DEFAULT 0,
    -- The lowest value that available may take: 0, or below 0 for backorders. Triggers maintain it.
    available_floor onhand_floor    NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id, location_id),
    CONSTRAINT never_oversold CHECK (available BETWEEN available_floor AND 1000000000)
) WITH (fillfactor = 50);

-- The order of product lists by title. A new version of a product changes no column of it.
CREATE INDEX products_by_title ON products ((coalesce(title, '') COLLATE "C"), product_id);

-- The floor that a product's settings give to its levels.
-- +goose StatementBegin
CREATE FUNCTION product_floor(p products) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN p.inventory_policy = 'CONTINUE' THEN -coalesce(p.backorder_limit, 1000000000) ELSE 0 END $$;
-- +goose StatementEnd


-- 5. Reservations ----------------------------------------------------------------------------------------------------

-- A reservation's lines are part of its row: a reservation costs one row and two index entries. Onhand writes the lines
-- once and reads them as a whole. As json they are half as long as jsonb, and Postgres does not parse them into a tree.
CREATE TABLE reservations (
    reservation_id onhand_key   PRIMARY KEY,
    state          onhand_state NOT NULL,
    lines          json         NOT NULL,
    channel        text         NOT NULL DEFAULT '',
    owner_ref      text         NOT NULL DEFAULT '',
    -- Whose it is: 's:' and the subject of a token, 'o:' and the owner_ref that an order service named, 'a:' and the address
    -- of an anonymous caller; '' without tokens.
    holder         text COLLATE "C" NOT NULL DEFAULT '',
    order_ref      text         NOT NULL DEFAULT '',
    -- A hash of the input. It distinguishes a repeated request from another request with the same idempotency key.
    fingerprint    bytea        NOT NULL,
    version        bigint       NOT NULL DEFAULT 1,
    created_at     onhand_time  NOT NULL DEFAULT clock_timestamp(),
    expires_at     onhand_time  NOT NULL,
    -- When the time to live was restarted last. NULL stands for created_at. expires_at less this is the time to live.
    renewed_at     onhand_time,
    -- How often the time to live was restarted, and whether holdings include the reservation while it is active.
    extensions     integer      NOT NULL DEFAULT 0,
    counted        boolean      NOT NULL DEFAULT false,
    -- When it became an order.
    ordered_at     onhand_time,
    -- Whether purchases include it: it counts against max_per_owner of its products.
    in_purchases   boolean      NOT NULL DEFAULT false
) WITH (fillfactor = 85);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'ACTIVE';
-- What counts against max_per_owner: for each holder its active reservations and its orders. What has ended without an
-- order leaves the index. A hash index, because holders are as good as random: an entry of a B-tree costs 1.6 times as much.
CREATE INDEX reservations_in_purchases ON reservations USING hash (holder)
    WHERE in_purchases AND state IN ('ACTIVE', 'COMMITTED', 'FULFILLED');

-- What a holder's counted active reservations have: the number of them (product_id ''), and their units of a product. The
-- row with product_id '' is the holder's lock: every writer of its holdings has it, before any other row. A holder's
-- first small reservation on an instance is not counted, because a row for each new shopper would cost a fifth of a
-- reservation.
CREATE TABLE holdings (
    holder     text COLLATE "C" NOT NULL,
    product_id text COLLATE "C" NOT NULL,
    units      onhand_quantity  NOT NULL,
    PRIMARY KEY (holder, product_id)
) WITH (fillfactor = 50);


-- 6. Ledger ----------------------------------------------------------------------------------------------------------
--
-- A movement is what one operation did to one level. The ledger stores a movement as a row of ledger_rows, or as part of
-- a row of ledger_chunks. Two views join both tables:
--   stock_movements  one row for each movement
--   ledger_entries   one row for each stored row or chunk

-- Each row takes 256 ids, as a chunk does: a chunk has at most 256 movements and numbers them from first_id.
CREATE TABLE ledger_rows (
    movement_id           bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME movement_sequence INCREMENT BY 256),
    product_id            text COLLATE "C" NOT NULL,
    location_id           text COLLATE "C" NOT NULL,
    available_delta       integer NOT NULL,
    reserved_delta        integer NOT NULL,
    committed_delta       integer NOT NULL,
    damaged_delta         integer NOT NULL,
    quality_control_delta integer NOT NULL,
    safety_stock_delta    integer NOT NULL,
    incoming_delta        integer NOT NULL,
    available_after       integer NOT NULL,
    reserved_after        integer NOT NULL,
    committed_after       integer NOT NULL,
    damaged_after         integer NOT NULL,
    quality_control_after integer NOT NULL,
    safety_stock_after    integer NOT NULL,
    incoming_after        integer NOT NULL,
    reason                text    NOT NULL,
    note                  text    NOT NULL DEFAULT '',
    reference             text    NOT NULL DEFAULT '',
    actor                 text    NOT NULL DEFAULT '',
    reservation_id        bytea,
    version               bigint  NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The writing transaction. Ids are given before the commit and visible after it, in another order. With txid a
    -- reader knows which movements a snapshot contains and which were committed later.
    txid                  bigint  NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    PRIMARY KEY (product_id, movement_id)
);

-- A chunk is what one optimistic batch reserved of one level: one row and one index entry for up to 256 movements.
-- The table has no CHECK, which would be planned for each INSERT. The audit checks chunks (ledger_entries.sound).
CREATE TABLE ledger_chunks (
    first_id        bigint    NOT NULL,
    product_id      text COLLATE "C" NOT NULL,
    location_id     text COLLATE "C" NOT NULL,
    -- The number of movements, and the sum of their units.
    size            integer   NOT NULL,
    total           integer   NOT NULL,
    -- One value for each movement, in order: its units, and the 16 bytes of its reservation.
    quantities      integer[] NOT NULL,
    reservations    bytea     NOT NULL,
    -- The level before the first movement.
    available       integer   NOT NULL,
    reserved        integer   NOT NULL,
    committed       integer   NOT NULL,
    damaged         integer   NOT NULL,
    quality_control integer   NOT NULL,
    safety_stock    integer   NOT NULL,
    incoming        integer   NOT NULL,
    version         bigint    NOT NULL,
    created_at      timestamptz NOT NULL,
    txid            bigint    NOT NULL,
    PRIMARY KEY (product_id, first_id)
);
-- EXTERNAL: reservation ids are random and do not compress.
ALTER TABLE ledger_chunks ALTER reservations SET STORAGE EXTERNAL, ALTER quantities SET STORAGE EXTERNAL;

-- The movements of one chunk. reserved_so_far is the sum of the units up to and including this movement.
-- The planner inlines this function. OFFSET 0 has Postgres fetch the externally stored value once a chunk.
-- +goose StatementBegin
CREATE FUNCTION ledger_chunk_movements(first_id bigint, quantities integer[], reservations bytea)
    RETURNS TABLE (movement_id bigint, quantity integer, reserved_so_far integer, reservation_id bytea)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 256 AS
$$
    SELECT $1 + u.n - 1, u.quantity, (sum(u.quantity) OVER (ORDER BY u.n ROWS UNBOUNDED PRECEDING))::integer,
        substr(whole.ids, 16 * u.n::integer - 15, 16)
    FROM (SELECT $3 || '' AS ids OFFSET 0) whole CROSS JOIN unnest($2) WITH ORDINALITY AS u(quantity, n)
$$;
-- +goose StatementEnd

-- xmin is the table's: the transaction that wrote the row in this database. It differs from txid after a restore.
CREATE VIEW stock_movements AS
    SELECT movement_id, product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, note, reference, actor, reservation_id, version, created_at, txid, xmin
    FROM ledger_rows
    UNION ALL
    SELECT m.movement_id, c.product_id, c.location_id, -m.quantity, m.quantity, 0, 0, 0, 0, 0,
        c.available - m.reserved_so_far, c.reserved + m.reserved_so_far,
        c.committed, c.damaged, c.quality_control, c.safety_stock, c.incoming,
        'RESERVED', '', '', '', m.reservation_id, c.version, c.created_at, c.txid, c.xmin
    FROM ledger_chunks c CROSS JOIN LATERAL ledger_chunk_movements(c.first_id, c.quantities, c.reservations) m;

-- An entry covers the ids movement_id to last_id, adds up the deltas, and has the quantities after the last movement.
-- sound is false for a chunk whose columns contradict each other.
CREATE VIEW ledger_entries AS
    SELECT movement_id, movement_id AS last_id, 1 AS size, true AS sound, product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        version, created_at, txid, xmin
    FROM ledger_rows
    UNION ALL
    SELECT first_id, first_id + size - 1, size,
        cardinality(quantities) = size AND length(reservations) = 16 * size
            AND (SELECT coalesce(sum(q) = total AND min(q) > 0 AND count(q) = count(*), false) FROM unnest(quantities) q),
        product_id, location_id, -total, total, 0, 0, 0, 0, 0,
        available - total, reserved + total, committed, damaged, quality_control, safety_stock, incoming,
        version, created_at, txid, xmin
    FROM ledger_chunks;

-- An INSERT into the view stock_movements writes ledger_rows.
-- +goose StatementBegin
CREATE FUNCTION stock_movements_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_rows (product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, note, reference, actor, reservation_id, version, created_at, txid)
    VALUES (NEW.product_id, NEW.location_id,
        NEW.available_delta, NEW.reserved_delta, NEW.committed_delta, NEW.damaged_delta, NEW.quality_control_delta, NEW.safety_stock_delta, NEW.incoming_delta,
        NEW.available_after, NEW.reserved_after, NEW.committed_after, NEW.damaged_after, NEW.quality_control_after, NEW.safety_stock_after, NEW.incoming_after,
        NEW.reason, coalesce(NEW.note, ''), coalesce(NEW.reference, ''), coalesce(NEW.actor, ''), NEW.reservation_id, NEW.version,
        coalesce(NEW.created_at, clock_timestamp()), coalesce(NEW.txid, pg_current_xact_id()::text::bigint))
    RETURNING movement_id INTO NEW.movement_id;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_movements_inserted INSTEAD OF INSERT ON stock_movements
    FOR EACH ROW EXECUTE FUNCTION stock_movements_inserted();


-- 7. Counts ----------------------------------------------------------------------------------------------------------

-- When the states of levels were counted, and what the counts corrected. Only counts write it. A count deletes those of
-- its state that were written before its own moment: they are in the ledger before it, and only counts that are later
-- still are accepted.
CREATE TABLE stock_counts (
    product_id  text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    state       text        NOT NULL CHECK (state IN ('AVAILABLE', 'DAMAGED', 'QUALITY_CONTROL', 'SAFETY_STOCK', 'INCOMING')),
    counted_at  timestamptz NOT NULL,
    -- The time of the movement by which the count was written.
    written_at  timestamptz NOT NULL,
    -- The units that the count added to the state, negative for those it took.
    correction  integer     NOT NULL,
    PRIMARY KEY (product_id, location_id, state, written_at)
);

-- What the ledger says of levels since moments: what each state gained and lost, without the corrections of counts, and
-- when it was counted last, by a count or by a file. A reservation that expired before the moment gave its units back
-- before it, whenever its end was written.
--
-- It reads the ledger of a product backwards, at most level_max entries after the moment, and total_max together. complete
-- is false where there are more. It stops 10 seconds or 1,000 entries before the moment: after a failover, the clock may
-- have gone back by seconds.
-- +goose StatementBegin
CREATE FUNCTION onhand_moved_since(product_ids text[], location_ids text[], moments timestamptz[], level_max integer, total_max integer)
    RETURNS TABLE (product text, location text, moment timestamptz,
        since_available bigint, since_reserved bigint, since_committed bigint, since_damaged bigint, since_quality_control bigint, since_safety_stock bigint, since_incoming bigint,
        newest_available timestamptz, newest_damaged timestamptz, newest_quality_control timestamptz, newest_safety_stock timestamptz, newest_incoming timestamptz,
        entries integer, complete boolean)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    most   integer; -- entries after the moment
    before integer; -- entries before it
    total  integer := 0;
    m      record;
BEGIN
    FOR product, location, moment IN SELECT * FROM unnest(product_ids, location_ids, moments) LOOP
        most := least(level_max, greatest(total_max - total, 0));
        entries := 0;
        before := 0;
        since_available := 0;
        since_reserved := 0;
        since_committed := 0;
        since_damaged := 0;
        since_quality_control := 0;
        since_safety_stock := 0;
        since_incoming := 0;
        newest_available := null;
        newest_damaged := null;
        newest_quality_control := null;
        newest_safety_stock := null;
        newest_incoming := null;
        FOR m IN SELECT * FROM ledger_rows l WHERE l.product_id = product ORDER BY l.movement_id DESC LIMIT most + 1001 LOOP
            IF m.created_at <= moment THEN
                before := before + 1;
                EXIT WHEN before > 1000 OR m.created_at <= moment - interval '10 seconds';
                CONTINUE;
            END IF;
            entries := entries + 1;
            EXIT WHEN entries > most;
            CONTINUE WHEN m.location_id <> location;
            CONTINUE WHEN m.reason = 'EXPIRED' AND EXISTS (SELECT 1 FROM reservations r WHERE r.reservation_id = m.reservation_id AND r.expires_at <= moment);
            since_available := since_available + m.available_delta;
            since_reserved := since_reserved + m.reserved_delta;
            since_committed := since_committed + m.committed_delta;
            since_damaged := since_damaged + m.damaged_delta;
            since_quality_control := since_quality_control + m.quality_control_delta;
            since_safety_stock := since_safety_stock + m.safety_stock_delta;
            since_incoming := since_incoming + m.incoming_delta;
            IF m.reason = 'IMPORT' THEN
                IF m.available_delta <> 0 THEN newest_available := greatest(newest_available, m.created_at); END IF;
                IF m.damaged_delta <> 0 THEN newest_damaged := greatest(newest_damaged, m.created_at); END IF;
                IF m.quality_control_delta <> 0 THEN newest_quality_control := greatest(newest_quality_control, m.created_at); END IF;
                IF m.safety_stock_delta <> 0 THEN newest_safety_stock := greatest(newest_safety_stock, m.created_at); END IF;
                IF m.incoming_delta <> 0 THEN newest_incoming := greatest(newest_incoming, m.created_at); END IF;
            END IF;
        END LOOP;
        before := 0;
        FOR m IN SELECT * FROM ledger_chunks c WHERE c.product_id = product ORDER BY c.first_id DESC LIMIT most + 1001 LOOP
            IF m.created_at <= moment THEN
                before := before + 1;
                EXIT WHEN before > 1000 OR m.created_at <= moment - interval '10 seconds';
                CONTINUE;
            END IF;
            entries := entries + 1;
            EXIT WHEN entries > most;
            CONTINUE WHEN m.location_id <> location;
            since_available := since_available - m.total;
            since_reserved := since_reserved + m.total;
        END LOOP;
        FOR m IN SELECT c.state, max(c.counted_at) AS newest, coalesce(sum(c.correction) FILTER (WHERE c.written_at > moment), 0) AS corrections
            FROM stock_counts c WHERE c.product_id = product AND c.location_id = location GROUP BY c.state
        LOOP
            CASE m.state
                WHEN 'AVAILABLE' THEN since_available := since_available - m.corrections; newest_available := greatest(newest_available, m.newest);
                WHEN 'DAMAGED' THEN since_damaged := since_damaged - m.corrections; newest_damaged := greatest(newest_damaged, m.newest);
                WHEN 'QUALITY_CONTROL' THEN since_quality_control := since_quality_control - m.corrections; newest_quality_control := greatest(newest_quality_control, m.newest);
                WHEN 'SAFETY_STOCK' THEN since_safety_stock := since_safety_stock - m.corrections; newest_safety_stock := greatest(newest_safety_stock, m.newest);
                WHEN 'INCOMING' THEN since_incoming := since_incoming - m.corrections; newest_incoming := greatest(newest_incoming, m.newest);
            END CASE;
        END LOOP;
        complete := entries <= most;
        total := total + entries;
        RETURN NEXT;
    END LOOP;
END $$;
-- +goose StatementEnd


-- 8. Outbox, idempotency keys ----------------------------------------------------------------------------------------

-- The products whose newest version has not reached Redis yet. The relay publishes and deletes these rows.
CREATE TABLE outbox (
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_sequence) PRIMARY KEY,
    product_id text COLLATE "C" NOT NULL,
    version    bigint NOT NULL
);

-- The answers of keyed writes that took effect. A whole reservation needs no row: its id is derived from its key. A refused
-- write has none: its key is free.
CREATE TABLE idempotency_keys (
    key_hash    bytea PRIMARY KEY CHECK (length(key_hash) = 16),
    fingerprint bytea NOT NULL,
    answer      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);


-- 9. Writers ---------------------------------------------------------------------------------------------------------
--
-- The setting onhand.writer says, for one transaction, what Onhand writes itself when it changes stock levels:
--
--   value                   ledger  versions and outbox  set by
--   (none)                  trigger trigger              outside writers
--   ledger                  writer  trigger              imports
--   ledger_versions_outbox  writer  writer               batches, which have the products locked
--
-- Triggers notify the relay (channel inventory_change) for outside writers only: NOTIFY serialises commits, and Onhand
-- publishes its own changes.

-- +goose StatementBegin
CREATE FUNCTION written_by_onhand() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') IN ('ledger', 'ledger_versions_outbox') $$;
-- +goose StatementEnd

-- Gives products a new version and adds them to the outbox. It locks rows in order of their ids, so that two writers
-- never deadlock.
-- +goose StatementBegin
CREATE FUNCTION touch_products(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM products WHERE product_id = ANY (ids) ORDER BY product_id FOR NO KEY UPDATE;
    WITH touched AS (
        UPDATE products SET version = version + 1 WHERE product_id = ANY (ids) RETURNING product_id, version
    )
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM touched;
    IF NOT written_by_onhand() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
END $$;
-- +goose StatementEnd

-- Writes the movements of an outside writer, with the products' present versions.
-- +goose StatementBegin
CREATE FUNCTION record_external(rows ledger_rows[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger_rows (product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, actor, version)
    SELECT r.product_id, r.location_id,
        r.available_delta, r.reserved_delta, r.committed_delta, r.damaged_delta, r.quality_control_delta, r.safety_stock_delta, r.incoming_delta,
        r.available_after, r.reserved_after, r.committed_after, r.damaged_after, r.quality_control_after, r.safety_stock_after, r.incoming_after,
        'EXTERNAL', session_user, p.version
    FROM unnest(rows) r JOIN products p USING (product_id)
$$;
-- +goose StatementEnd

-- The movement from one state of a level to another. A level that is missing before or after is null.
-- +goose StatementBegin
CREATE FUNCTION level_difference(old stock_levels, new stock_levels) RETURNS ledger_rows LANGUAGE sql STABLE AS $$
    SELECT row(0, coalesce((new).product_id, (old).product_id), coalesce((new).location_id, (old).location_id),
        coalesce((new).available, 0)       - coalesce((old).available, 0),
        coalesce((new).reserved, 0)        - coalesce((old).reserved, 0),
        coalesce((new).committed, 0)       - coalesce((old).committed, 0),
        coalesce((new).damaged, 0)         - coalesce((old).damaged, 0),
        coalesce((new).quality_control, 0) - coalesce((old).quality_control, 0),
        coalesce((new).safety_stock, 0)    - coalesce((old).safety_stock, 0),
        coalesce((new).incoming, 0)        - coalesce((old).incoming, 0),
        coalesce((new).available, 0), coalesce((new).reserved, 0), coalesce((new).committed, 0), coalesce((new).damaged, 0),
        coalesce((new).quality_control, 0), coalesce((new).safety_stock, 0), coalesce((new).incoming, 0),
        '', '', '', '', null, 0, null, null)::ledger_rows
$$;
-- +goose StatementEnd


-- 10. Triggers on stock levels ---------------------------------------------------------------------------------------
--
-- The WHEN conditions call current_setting and not a function of this file: Postgres would look into that function for
-- each statement.

-- +goose StatementBegin
CREATE FUNCTION stock_levels_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM new_rows) THEN RETURN null; END IF;
    PERFORM touch_products(ARRAY(SELECT DISTINCT product_id FROM new_rows));
    IF NOT written_by_onhand() THEN
        PERFORM record_external(ARRAY(SELECT level_difference(null, n) FROM new_rows n));
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (current_setting('onhand.writer', true) IS DISTINCT FROM 'ledger_versions_outbox') EXECUTE FUNCTION stock_levels_inserted();

-- +goose StatementBegin
CREATE FUNCTION stock_levels_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
BEGIN
    ids := ARRAY(
        -- EXCEPT, not a join: transition tables have no statistics, and the planner would choose a nested loop.
        SELECT DISTINCT product_id FROM (TABLE new_rows EXCEPT TABLE old_rows) changed
    );
    IF cardinality(ids) = 0 THEN RETURN null; END IF;
    PERFORM touch_products(ids);
    IF NOT written_by_onhand() THEN
        PERFORM record_external(ARRAY(
            SELECT level_difference(o, n) FROM new_rows n JOIN old_rows o USING (product_id, location_id)
            WHERE (n.available, n.reserved, n.committed, n.damaged, n.quality_control, n.safety_stock, n.incoming)
                IS DISTINCT FROM (o.available, o.reserved, o.committed, o.damaged, o.quality_control, o.safety_stock, o.incoming)
        ));
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (current_setting('onhand.writer', true) IS DISTINCT FROM 'ledger_versions_outbox') EXECUTE FUNCTION stock_levels_updated();

-- Onhand deletes no levels, so every DELETE is an outside writer's.
-- +goose StatementBegin
CREATE FUNCTION stock_levels_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM old_rows) THEN RETURN null; END IF;
    PERFORM touch_products(ARRAY(SELECT DISTINCT product_id FROM old_rows));
    PERFORM record_external(ARRAY(SELECT level_difference(o, null) FROM old_rows o));
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_levels_deleted AFTER DELETE ON stock_levels
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_deleted();

-- An inserted or deleted level increments the settings revision, for every writer. Postgres runs triggers in order of
-- their names: "then_" puts these after the triggers above, which lock the products in order.
-- +goose StatementBegin
CREATE FUNCTION increment_settings_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE products SET settings_revision = settings_revision + 1 WHERE product_id IN (SELECT product_id FROM changed);
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER then_settings_revision_on_insert AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION increment_settings_revision();
CREATE TRIGGER then_settings_revision_on_delete AFTER DELETE ON stock_levels
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION increment_settings_revision();

-- Sets available_floor from the product's settings. An UPDATE skips it while available stays at 0 or above and the floor
-- is 0.
-- +goose StatementBegin
CREATE FUNCTION stock_level_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.available_floor := coalesce((SELECT product_floor(p) FROM products p WHERE p.product_id = NEW.product_id), 0);
    IF TG_OP = 'UPDATE' THEN -- a level that is already below the floor may stay there or rise
        NEW.available_floor := least(NEW.available_floor, OLD.available);
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_level_floor_on_insert BEFORE INSERT ON stock_levels
    FOR EACH ROW EXECUTE FUNCTION stock_level_floor();
CREATE TRIGGER stock_level_floor_on_update BEFORE UPDATE OF available ON stock_levels
    FOR EACH ROW WHEN (NEW.available < 0 OR OLD.available_floor < 0) EXECUTE FUNCTION stock_level_floor();


-- 11. Triggers on products -------------------------------------------------------------------------------------------

-- A new product replaces the cache's entry for an unknown product.
-- +goose StatementBegin
CREATE FUNCTION products_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM new_rows;
    IF FOUND AND NOT written_by_onhand() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER products_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION products_inserted();

-- A changed setting gives the product a new version and a new settings revision. The column list keeps the trigger from
-- running for updates of the version alone.
-- +goose StatementBegin
CREATE FUNCTION product_settings_new_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
        NEW.settings_revision := OLD.settings_revision + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER product_settings_new_version BEFORE UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, max_per_owner, owner_period, next_restock_at, channel_buffers ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_new_version();

-- +goose StatementBegin
CREATE FUNCTION product_settings_to_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version = OLD.version THEN RETURN null; END IF;
    INSERT INTO outbox (product_id, version) VALUES (NEW.product_id, NEW.version);
    IF NOT written_by_onhand() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER product_settings_to_outbox AFTER UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, max_per_owner, owner_period, next_restock_at, channel_buffers ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_to_outbox();


-- 12. Triggers on locations and channels -----------------------------------------------------------------------------

-- Every instance caches the directory and reloads it when its version grows.
-- +goose StatementBegin
CREATE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
    PERFORM pg_notify('inventory_change', '');
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON locations
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON channels
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON channel_locations
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();

-- A channel's revision grows with the channel, and with its list of locations below. The version of a channel's view of a
-- product is made of both numbers, so that a change of a channel writes no row of a product.
-- +goose StatementBegin
CREATE FUNCTION channel_new_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.revision := (SELECT deleted_channel_revision + 1 FROM onhand_meta);
    ELSIF NEW IS DISTINCT FROM OLD THEN
        NEW.revision := OLD.revision + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER channel_new_revision BEFORE INSERT OR UPDATE ON channels
    FOR EACH ROW EXECUTE FUNCTION channel_new_revision();

-- Keeps the revision of a channel that is deleted, and removes its buffers from products.
-- +goose StatementBegin
CREATE FUNCTION channels_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
BEGIN
    IF NOT EXISTS (SELECT 1 FROM old_rows) THEN RETURN null; END IF;
    UPDATE onhand_meta SET deleted_channel_revision = greatest(deleted_channel_revision, (SELECT max(revision) FROM old_rows));
    ids := ARRAY(
        SELECT p.product_id FROM products p
        WHERE p.channel_buffers IS NOT NULL AND EXISTS (SELECT 1 FROM old_rows o WHERE p.channel_buffers::jsonb ? o.channel_id)
        ORDER BY p.product_id FOR NO KEY UPDATE
    );
    IF cardinality(ids) > 0 THEN
        UPDATE products SET channel_buffers = nullif((channel_buffers::jsonb - ARRAY(SELECT channel_id::text FROM old_rows))::text, '{}')
        WHERE product_id = ANY (ids);
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER channels_deleted AFTER DELETE ON channels
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION channels_deleted();

-- +goose StatementBegin
CREATE FUNCTION channels_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE onhand_meta SET deleted_channel_revision = greatest(deleted_channel_revision, (SELECT max(revision) FROM channels));
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER channels_truncated BEFORE TRUNCATE ON channels
    FOR EACH STATEMENT EXECUTE FUNCTION channels_truncated();

-- +goose StatementBegin
CREATE FUNCTION channel_locations_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE channels SET revision = revision + 1 WHERE channel_id IN (SELECT channel_id FROM changed);
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER channel_locations_inserted AFTER INSERT ON channel_locations
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION channel_locations_changed();
CREATE TRIGGER channel_locations_deleted AFTER DELETE ON channel_locations
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION channel_locations_changed();
CREATE TRIGGER channel_locations_updated_from AFTER UPDATE ON channel_locations
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION channel_locations_changed();
CREATE TRIGGER channel_locations_updated_to AFTER UPDATE ON channel_locations
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION channel_locations_changed();

-- +goose StatementBegin
CREATE FUNCTION channel_locations_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE channels SET revision = revision + 1;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER channel_locations_truncated AFTER TRUNCATE ON channel_locations
    FOR EACH STATEMENT EXECUTE FUNCTION channel_locations_truncated();

-- Changing a location and inserting a stock level there block each other: the foreign key locks the location for the
-- inserted level, and this trigger asks for the lock that conflicts. Without it neither transaction would see the
-- other, and the new level's product would keep its version although the location changed.
-- +goose StatementBegin
CREATE FUNCTION location_change_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM locations WHERE location_id = OLD.location_id FOR UPDATE;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER location_change_lock BEFORE UPDATE OF active, priority ON locations
    FOR EACH ROW WHEN ((NEW.active, NEW.priority) IS DISTINCT FROM (OLD.active, OLD.priority)) EXECUTE FUNCTION location_change_lock();

-- A location that opens, closes or changes its priority changes the stock of every product with a level there.
-- +goose StatementBegin
CREATE FUNCTION location_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
BEGIN
    ids := ARRAY(
        SELECT DISTINCT l.product_id FROM new_rows n JOIN old_rows o USING (location_id) JOIN stock_levels l USING (location_id)
        WHERE (n.active, n.priority) IS DISTINCT FROM (o.active, o.priority)
    );
    IF cardinality(ids) > 0 THEN
        PERFORM touch_products(ids);
    END IF;
    -- Also for products without a level, which a channel sells on backorder where a location is active.
    UPDATE channels SET revision = revision + 1 WHERE channel_id IN (
        SELECT m.channel_id FROM new_rows n JOIN old_rows o USING (location_id) JOIN channel_locations m USING (location_id)
        WHERE (n.active, n.priority) IS DISTINCT FROM (o.active, o.priority)
    );
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER location_changed AFTER UPDATE ON locations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION location_changed();


-- 13. Refused changes ------------------------------------------------------------------------------------------------
--
-- Nobody rewrites the ledger or gives an id a second meaning.

-- +goose StatementBegin
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'onhand: % on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_rows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the ledger is append-only');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_chunks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the ledger is append-only');
CREATE TRIGGER append_only INSTEAD OF UPDATE OR DELETE ON stock_movements
    FOR EACH ROW EXECUTE FUNCTION refuse('the ledger is append-only');
CREATE TRIGGER keep_products BEFORE DELETE OR TRUNCATE ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a product that is gone would restart its version; delete its stock_levels instead');
CREATE TRIGGER keep_product_ids BEFORE UPDATE OF product_id ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ids are for ever; make a new product');
CREATE TRIGGER keep_channel_ids BEFORE UPDATE OF channel_id ON channels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ids are for ever; make a new channel');
CREATE TRIGGER keep_level_ids BEFORE UPDATE OF product_id, location_id ON stock_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('delete the level and make a new one');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON stock_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('use DELETE, so that the ledger knows');


-- 14. Optimistic batches ---------------------------------------------------------------------------------------------

-- Ends the transaction of a batch that was decided on values that have changed since.
-- +goose StatementBegin
CREATE FUNCTION onhand_expect(expected boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF expected IS NOT TRUE THEN
        RAISE EXCEPTION 'onhand: not as expected' USING ERRCODE = 'ONH01';
    END IF;
END $$;
-- +goose StatementEnd

-- Commits an optimistic batch by compare-and-set: it writes the next quantities and versions and fills the outbox, if
-- all values are still the expected ones, and calls onhand_expect(false) otherwise. It returns the time, which it reads
-- with all locks taken; the batch's later statements read the same time from the setting onhand.now.
--
-- One function costs less than the same statements sent one by one, or as one statement with several parts.
--
-- The arrays come in order of their ids. Levels are locked before products, each in that order, because an index scan
-- finds them one by one. The planner would read a small table as a whole, in the order of its pages; so the function
-- turns sequential scans off. lock_wait is in milliseconds; units is how many units each level gives; not_after, where not
-- NULL, is the time after which some key of the batch may not be used any more.
-- +goose StatementBegin
CREATE FUNCTION onhand_reserve(lock_wait text, expected_epoch text, expected_directory bigint, not_after timestamptz,
    ids text[], versions bigint[], next_versions bigint[],
    level_ids text[], location_ids text[], next_available integer[], next_reserved integer[], units integer[])
    RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    -- A batch without levels counts as several: it runs the statement for many.
    several boolean := cardinality(level_ids) <> 1 OR cardinality(ids) > 1;
    changed bigint;
BEGIN
    PERFORM set_config('onhand.writer', 'ledger_versions_outbox', true), set_config('lock_timeout', lock_wait, true);
    IF several THEN
        PERFORM set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true);
    END IF;
    IF cardinality(level_ids) = 1 THEN
        UPDATE stock_levels SET available = next_available[1], reserved = next_reserved[1]
        WHERE product_id = level_ids[1] AND location_id = location_ids[1]
            AND available = next_available[1] + units[1] AND reserved = next_reserved[1] - units[1];
    ELSE
        UPDATE stock_levels l SET available = v.available, reserved = v.reserved
        FROM (SELECT unnest(level_ids) AS product_id, unnest(location_ids) AS location_id,
            unnest(next_available) AS available, unnest(next_reserved) AS reserved, unnest(units) AS units) v
        WHERE l.product_id = v.product_id AND l.location_id = v.location_id
            AND l.available = v.available + v.units AND l.reserved = v.reserved - v.units;
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(level_ids) THEN
        PERFORM onhand_expect(false);
    END IF;

    -- A product whose version stays is locked too.
    IF cardinality(ids) = 1 THEN
        UPDATE products SET version = next_versions[1] WHERE product_id = ids[1] AND version = versions[1];
    ELSE
        UPDATE products p SET version = v.next
        FROM (SELECT unnest(ids) AS product_id, unnest(versions) AS version, unnest(next_versions) AS next) v
        WHERE p.product_id = v.product_id AND p.version = v.version;
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF several THEN -- onhand_meta has no better scan; a disabled one costs so much that it would start the JIT
        PERFORM set_config('enable_seqscan', 'on', true);
    END IF;
    INSERT INTO outbox (product_id, version)
    SELECT v.product_id, v.next FROM (SELECT unnest(ids) AS product_id, unnest(versions) AS version, unnest(next_versions) AS next) v
    WHERE v.next > v.version;

    PERFORM onhand_expect(changed = cardinality(ids) AND epoch = expected_epoch AND directory_version = expected_directory
        AND coalesce(clock_timestamp() <= not_after, true)) FROM onhand_meta;
    RETURN set_config('onhand.now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), true)::timestamptz;
END $$;
-- +goose StatementEnd


-- 15. Block range indexes --------------------------------------------------------------------------------------------
--
-- These tables grow at their end. A BRIN index finds ids, transactions and times by block range and costs a write
-- almost nothing.

CREATE INDEX reservations_order ON reservations USING brin (created_at, owner_ref text_bloom_ops, order_ref text_bloom_ops) WITH (autosummarize = on);
CREATE INDEX ledger_rows_order ON ledger_rows USING brin (movement_id, txid, created_at) WITH (autosummarize = on);
CREATE INDEX ledger_rows_origin ON ledger_rows USING brin (reservation_id bytea_bloom_ops, reference text_bloom_ops) WITH (autosummarize = on);
CREATE INDEX ledger_chunks_order ON ledger_chunks USING brin (first_id, txid, created_at) WITH (autosummarize = on, pages_per_range = 32);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- CREATE INDEX summarises the first range, although it is empty. Each INSERT would then update that summary until the
-- range is full. Without it the first range is summarised when it is full, as all others are.
SELECT brin_desummarize_range('reservations_order', 0), brin_desummarize_range('ledger_rows_order', 0), brin_desummarize_range('ledger_rows_origin', 0),
    brin_desummarize_range('ledger_chunks_order', 0), brin_desummarize_range('idempotency_keys_age', 0);


-- +goose Down
DROP VIEW stock_movements, ledger_entries;
DROP FUNCTION record_external, level_difference, product_floor; -- their parameters are rows of the tables below
DROP TABLE onhand_meta, channel_locations, channels, stock_levels, locations, products, reservations, holdings, ledger_rows, ledger_chunks,
    stock_counts, outbox, idempotency_keys;
DROP FUNCTION onhand_moved_since, written_by_onhand, touch_products, ledger_chunk_movements, stock_movements_inserted,
    stock_levels_inserted, stock_levels_updated, stock_levels_deleted, increment_settings_revision, stock_level_floor,
    products_inserted, product_settings_new_version, product_settings_to_outbox,
    directory_changed, channel_new_revision, channels_deleted, channels_truncated, channel_locations_changed, channel_locations_truncated, location_change_lock, location_changed, refuse, onhand_expect, onhand_reserve;
DROP DOMAIN onhand_id, onhand_quantity, onhand_limit, onhand_period, onhand_floor, onhand_version, onhand_revision, onhand_policy, onhand_state, onhand_key, onhand_buffers, onhand_time;
DROP FUNCTION valid_buffers;
