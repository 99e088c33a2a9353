-- +goose Up

-- What this database is. One row.
CREATE TABLE onhand_meta (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Names this history of versions. Changed when the database or Redis went
    -- back in time, so that nothing kept from another history is believed.
    epoch              text   NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    -- Makes reservation ids unguessable although they are derived from keys.
    reservation_secret text   NOT NULL DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
    -- Grows when locations or channels change.
    directory_version  bigint NOT NULL DEFAULT 1
);
INSERT INTO onhand_meta DEFAULT VALUES;

CREATE TABLE locations (
    location_id text COLLATE "C" PRIMARY KEY CHECK (length(location_id) BETWEEN 1 AND 255),
    name        text    NOT NULL,
    priority    integer NOT NULL DEFAULT 100,
    active      boolean NOT NULL DEFAULT true,
    pickup      boolean NOT NULL DEFAULT false
);

CREATE TABLE channels (
    channel_id text COLLATE "C" PRIMARY KEY CHECK (length(channel_id) BETWEEN 1 AND 255),
    name       text NOT NULL,
    -- The rule by which its holds choose locations.
    sourcing   text NOT NULL DEFAULT 'PRIORITY' CHECK (sourcing IN ('PRIORITY', 'FEWEST_LOCATIONS'))
);

CREATE TABLE channel_locations (
    channel_id  text COLLATE "C" NOT NULL REFERENCES channels ON DELETE CASCADE,
    location_id text COLLATE "C" NOT NULL REFERENCES locations ON DELETE CASCADE,
    PRIMARY KEY (channel_id, location_id)
);

CREATE TABLE products (
    product_id          text COLLATE "C" PRIMARY KEY CHECK (length(product_id) BETWEEN 1 AND 255),
    title               text,
    tracked             boolean     NOT NULL DEFAULT true,
    inventory_policy    text        NOT NULL DEFAULT 'DENY' CHECK (inventory_policy IN ('DENY', 'CONTINUE')),
    backorder_limit     integer     CHECK (backorder_limit BETWEEN 0 AND 1000000000),
    low_stock_threshold integer     NOT NULL DEFAULT 5 CHECK (low_stock_threshold BETWEEN 0 AND 1000000000),
    max_per_reservation integer     CHECK (max_per_reservation BETWEEN 1 AND 1000000000),
    -- Not infinity, and no year that RFC 3339 cannot write.
    next_restock_at     timestamptz CHECK (next_restock_at >= '0001-01-01Z' AND next_restock_at < '10000-01-01Z'),
    version             bigint      NOT NULL DEFAULT 1 CHECK (version > 0)
) WITH (fillfactor = 50);

CREATE TABLE stock_levels (
    product_id      text COLLATE "C" NOT NULL REFERENCES products,
    location_id     text COLLATE "C" NOT NULL REFERENCES locations,
    available       integer NOT NULL DEFAULT 0,
    reserved        integer NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND 1000000000),
    committed       integer NOT NULL DEFAULT 0 CHECK (committed BETWEEN 0 AND 1000000000),
    damaged         integer NOT NULL DEFAULT 0 CHECK (damaged BETWEEN 0 AND 1000000000),
    quality_control integer NOT NULL DEFAULT 0 CHECK (quality_control BETWEEN 0 AND 1000000000),
    safety_stock    integer NOT NULL DEFAULT 0 CHECK (safety_stock BETWEEN 0 AND 1000000000),
    incoming        integer NOT NULL DEFAULT 0 CHECK (incoming BETWEEN 0 AND 1000000000),
    -- The lowest value available may take: 0, or below for backorders. Kept
    -- by the trigger on products.
    available_floor integer NOT NULL DEFAULT 0 CHECK (available_floor <= 0),
    PRIMARY KEY (product_id, location_id),
    CONSTRAINT never_oversold CHECK (available BETWEEN available_floor AND 1000000000)
) WITH (fillfactor = 50);

-- Lines live inside the row: one row and two index entries a reservation.
CREATE TABLE reservations (
    reservation_id bytea PRIMARY KEY CHECK (length(reservation_id) = 16),
    state          text        NOT NULL CHECK (state IN ('ACTIVE', 'COMMITTED', 'FULFILLED', 'RELEASED', 'EXPIRED', 'CANCELLED')),
    lines          jsonb       NOT NULL,
    channel        text        NOT NULL DEFAULT '',
    owner_ref      text        NOT NULL DEFAULT '',
    order_ref      text        NOT NULL DEFAULT '',
    -- Hash of the input that made it, to tell a repeat from a misuse of its key.
    fingerprint    bytea       NOT NULL,
    version        bigint      NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (created_at >= '0001-01-01Z' AND created_at < '10000-01-01Z'),
    expires_at     timestamptz NOT NULL CHECK (expires_at >= '0001-01-01Z' AND expires_at < '10000-01-01Z')
) WITH (fillfactor = 85);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'ACTIVE';

-- The ledger: what one operation did to one level.
CREATE TABLE stock_movements (
    movement_id           bigint GENERATED ALWAYS AS IDENTITY,
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
    -- The transaction that wrote it. Ids are given before the commit and seen
    -- after it, in another order: with this a reader can tell what had been
    -- committed in a snapshot and what came later.
    txid                  bigint  NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    PRIMARY KEY (product_id, movement_id)
);
-- The ledger grows at its end, so that summaries of block ranges find ids,
-- transactions and times, and cost a write nothing.
CREATE INDEX stock_movements_order ON stock_movements USING brin (movement_id, txid, created_at) WITH (autosummarize = on);
CREATE INDEX stock_movements_origin ON stock_movements USING brin (reservation_id bytea_bloom_ops, reference text_bloom_ops) WITH (autosummarize = on);

-- What changed and has not reached Redis yet.
CREATE TABLE outbox (
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_sequence) PRIMARY KEY,
    product_id text COLLATE "C" NOT NULL,
    version    bigint NOT NULL
);

-- The answers of keyed writes other than successful reservations, whose id is
-- derived from their key.
CREATE TABLE idempotency_keys (
    key_hash    bytea PRIMARY KEY CHECK (length(key_hash) = 16),
    fingerprint bytea NOT NULL,
    answer      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- True inside Onhand's own write transactions, which keep the ledger and tell
-- Redis themselves.
-- +goose StatementBegin
CREATE FUNCTION onhand_writes() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') = 'on' $$;
-- +goose StatementEnd

-- Gives the products a new version and puts them into the outbox. Rows are
-- locked in one order, so that two writers never wait for each other in a ring.
-- +goose StatementBegin
CREATE FUNCTION touch_products(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM products WHERE product_id = ANY (ids) ORDER BY product_id FOR NO KEY UPDATE;
    WITH touched AS (
        UPDATE products SET version = version + 1 WHERE product_id = ANY (ids) RETURNING product_id, version
    )
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM touched;
    IF NOT onhand_writes() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
END $$;
-- +goose StatementEnd

-- Writes the ledger rows of a change that somebody else made to the levels.
-- +goose StatementBegin
CREATE FUNCTION record_external(rows stock_movements[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO stock_movements (product_id, location_id,
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

-- One ledger row: from the quantities before (null: none) to those after.
-- +goose StatementBegin
CREATE FUNCTION level_difference(old stock_levels, new stock_levels) RETURNS stock_movements LANGUAGE sql STABLE AS $$
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
        '', '', '', '', null, 0, null, null)::stock_movements
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION stock_levels_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM new_rows) THEN RETURN null; END IF;
    PERFORM touch_products(ARRAY(SELECT DISTINCT product_id FROM new_rows));
    IF NOT onhand_writes() THEN
        PERFORM record_external(ARRAY(SELECT level_difference(null, n) FROM new_rows n));
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION stock_levels_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
BEGIN
    ids := ARRAY(
        -- Not a join: without statistics of these tables it is planned as a loop in a loop.
        SELECT DISTINCT product_id FROM (TABLE new_rows EXCEPT TABLE old_rows) changed
    );
    IF cardinality(ids) = 0 THEN RETURN null; END IF;
    PERFORM touch_products(ids);
    IF NOT onhand_writes() THEN
        PERFORM record_external(ARRAY(
            SELECT level_difference(o, n) FROM new_rows n JOIN old_rows o USING (product_id, location_id)
            WHERE (n.available, n.reserved, n.committed, n.damaged, n.quality_control, n.safety_stock, n.incoming)
                IS DISTINCT FROM (o.available, o.reserved, o.committed, o.damaged, o.quality_control, o.safety_stock, o.incoming)
        ));
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION stock_levels_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM old_rows) THEN RETURN null; END IF;
    PERFORM touch_products(ARRAY(SELECT DISTINCT product_id FROM old_rows));
    PERFORM record_external(ARRAY(SELECT level_difference(o, null) FROM old_rows o));
    RETURN null;
END $$;
-- +goose StatementEnd

CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_inserted();
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_updated();
CREATE TRIGGER stock_levels_deleted AFTER DELETE ON stock_levels
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_deleted();

-- A new product replaces the cache's "unknown".
-- +goose StatementBegin
CREATE FUNCTION products_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM new_rows;
    IF FOUND AND NOT onhand_writes() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER products_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION products_inserted();

-- A changed setting is a new version. The column list keeps this trigger away
-- from touch_products.
-- +goose StatementBegin
CREATE FUNCTION product_settings_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER product_settings_change BEFORE UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_change();

-- The floor a product's settings give to its levels.
-- +goose StatementBegin
CREATE FUNCTION product_floor(p products) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN p.inventory_policy = 'CONTINUE' THEN -coalesce(p.backorder_limit, 1000000000) ELSE 0 END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION product_settings_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version = OLD.version THEN RETURN null; END IF;
    INSERT INTO outbox (product_id, version) VALUES (NEW.product_id, NEW.version);
    IF NOT onhand_writes() THEN
        PERFORM pg_notify('inventory_change', '');
    END IF;
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER product_settings_changed AFTER UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_changed();

-- A level made by hand gets its product's floor.
-- +goose StatementBegin
CREATE FUNCTION stock_level_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.available_floor := coalesce((SELECT product_floor(p) FROM products p WHERE p.product_id = NEW.product_id), 0);
    IF TG_OP = 'UPDATE' THEN -- what is already below the floor may stay, and may only rise
        NEW.available_floor := least(NEW.available_floor, OLD.available);
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stock_level_floor_made BEFORE INSERT ON stock_levels
    FOR EACH ROW EXECUTE FUNCTION stock_level_floor();
-- A level that stays at zero or above needs no floor.
CREATE TRIGGER stock_level_floor BEFORE UPDATE OF available ON stock_levels
    FOR EACH ROW WHEN (NEW.available < 0 OR OLD.available_floor < 0) EXECUTE FUNCTION stock_level_floor();

-- Locations and channels are kept in every copy's memory; this tells them.
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

-- Opening or closing a location, or moving it in the sourcing order, changes
-- the stock of what it holds.
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
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER location_changed AFTER UPDATE ON locations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION location_changed();

-- History cannot be rewritten, and ids are for ever.
-- +goose StatementBegin
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'onhand: % on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the ledger is append-only');
CREATE TRIGGER keep_products BEFORE DELETE OR TRUNCATE ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('a product that is gone would restart its version; delete its stock_levels instead');
CREATE TRIGGER keep_product_ids BEFORE UPDATE OF product_id ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ids are for ever; make a new product');
CREATE TRIGGER keep_level_ids BEFORE UPDATE OF product_id, location_id ON stock_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('delete the level and make a new one');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON stock_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('use DELETE, so that the ledger knows');

-- +goose Down
DROP TABLE onhand_meta, channel_locations, channels, stock_levels, locations, products, reservations, stock_movements, outbox, idempotency_keys CASCADE;
DROP FUNCTION IF EXISTS onhand_writes, touch_products, stock_levels_inserted, stock_levels_updated, stock_levels_deleted,
    products_inserted, product_settings_change, product_settings_changed, stock_level_floor, directory_changed, location_changed, refuse CASCADE;
