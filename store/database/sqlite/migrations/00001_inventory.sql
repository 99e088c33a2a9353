-- +goose Up

-- The inventory tables on SQLite.
--
-- They are the tables of Postgres (postgres/migrations/00001_inventory.sql), and so are most comments: read those first.
-- What differs here:
--   * Times are integers: microseconds since 1970 in UTC.
--   * There are no domains; each column has its own CHECK. STRICT tables are not used, so quantities check their type.
--   * Triggers run per row. There are no settings of a transaction: the table onhand_writer says that Onhand is writing.
--   * SQLite has one writer at a time, and Onhand decides while it is that writer. There are no optimistic batches, and so
--     no settings revisions and no ledger chunks: stock_movements is the table of all movements.
--   * There is no NOTIFY. The relay polls.
--
-- Sections: 1. Meta, 2. Locations and channels, 3. Products and stock levels, 4. Reservations, 5. Ledger, 6. Counts,
-- 7. Outbox and idempotency keys, 8. Triggers on stock levels, 9. Triggers on products, 10. Triggers on locations and
-- channels, 11. Refused changes.


-- 1. Meta ------------------------------------------------------------------------------------------------------------

CREATE TABLE onhand_meta (
    only_row           INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch              TEXT NOT NULL,
    reservation_secret TEXT NOT NULL,
    directory_version  INTEGER NOT NULL DEFAULT 1,
    deleted_channel_revision INTEGER NOT NULL DEFAULT 0,
    demo               INTEGER NOT NULL DEFAULT 0,
    migration_needed   INTEGER NOT NULL DEFAULT 1
);
INSERT INTO onhand_meta (only_row, epoch, reservation_secret) VALUES (1, lower(hex(randomblob(16))), lower(hex(randomblob(32))));

-- One row. active is 1 inside Onhand's own write transactions, which write the ledger themselves. They set it back to 0
-- before they commit, so no other transaction ever reads 1.
CREATE TABLE onhand_writer (active INTEGER NOT NULL);
INSERT INTO onhand_writer VALUES (0);


-- 2. Locations and channels ------------------------------------------------------------------------------------------

CREATE TABLE locations (
    location_id TEXT PRIMARY KEY NOT NULL CHECK (length(location_id) BETWEEN 1 AND 255),
    name        TEXT NOT NULL,
    priority    INTEGER NOT NULL DEFAULT 100,
    active      INTEGER NOT NULL DEFAULT 1,
    pickup      INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE channels (
    channel_id TEXT PRIMARY KEY NOT NULL CHECK (length(channel_id) BETWEEN 1 AND 255),
    name       TEXT NOT NULL,
    sourcing   TEXT NOT NULL DEFAULT 'PRIORITY' CHECK (sourcing IN ('PRIORITY', 'FEWEST_LOCATIONS')),
    buffer     INTEGER NOT NULL DEFAULT 0 CHECK (typeof(buffer) = 'integer' AND buffer BETWEEN 0 AND 1000000000),
    revision   INTEGER NOT NULL DEFAULT 1 CHECK (revision BETWEEN 1 AND 67108863)
) WITHOUT ROWID;

CREATE TABLE channel_locations (
    channel_id  TEXT NOT NULL REFERENCES channels ON DELETE CASCADE,
    location_id TEXT NOT NULL REFERENCES locations ON DELETE CASCADE,
    PRIMARY KEY (channel_id, location_id)
) WITHOUT ROWID;


-- 3. Products and stock levels ---------------------------------------------------------------------------------------

CREATE TABLE products (
    -- The id of a product is its global id too. The API and files refuse ids of other types with a message.
    product_id          TEXT PRIMARY KEY NOT NULL CHECK (length(product_id) BETWEEN 1 AND 255)
        CHECK (product_id NOT GLOB 'onhand:*')
        CHECK (length(product_id) <> 36 OR substr(product_id, 1, 4) <> 'res_' OR substr(product_id, 5) GLOB '*[^0-9a-f]*'),
    title               TEXT,
    tracked             INTEGER NOT NULL DEFAULT 1,
    inventory_policy    TEXT NOT NULL DEFAULT 'DENY' CHECK (inventory_policy IN ('DENY', 'CONTINUE')),
    backorder_limit     INTEGER CHECK (backorder_limit BETWEEN 0 AND 1000000000),
    low_stock_threshold INTEGER NOT NULL DEFAULT 5 CHECK (low_stock_threshold BETWEEN 0 AND 1000000000),
    max_per_reservation INTEGER CHECK (max_per_reservation BETWEEN 1 AND 1000000000),
    -- How many units one holder may have, in active reservations and in orders of the period.
    max_per_owner       INTEGER CHECK (max_per_owner BETWEEN 1 AND 1000000000),
    owner_period        INTEGER CHECK (owner_period BETWEEN 60 AND 31622400), -- in seconds; NULL for a day
    -- RFC 3339 cannot write other years than 1 to 9999.
    next_restock_at     INTEGER CHECK (next_restock_at >= -62135596800000000 AND next_restock_at < 253402300800000000),
    channel_buffers     TEXT CHECK (json_valid(channel_buffers) AND json_type(channel_buffers) = 'object'),
    version             INTEGER NOT NULL DEFAULT 1 CHECK (version BETWEEN 1 AND 4503599627370495)
) WITHOUT ROWID;

-- The order of product lists by title.
CREATE INDEX products_by_title ON products (coalesce(title, ''), product_id);

CREATE TABLE stock_levels (
    product_id      TEXT NOT NULL REFERENCES products,
    location_id     TEXT NOT NULL REFERENCES locations,
    available       INTEGER NOT NULL DEFAULT 0 CHECK (typeof(available) = 'integer'),
    reserved        INTEGER NOT NULL DEFAULT 0 CHECK (typeof(reserved) = 'integer' AND reserved BETWEEN 0 AND 1000000000),
    committed       INTEGER NOT NULL DEFAULT 0 CHECK (typeof(committed) = 'integer' AND committed BETWEEN 0 AND 1000000000),
    damaged         INTEGER NOT NULL DEFAULT 0 CHECK (typeof(damaged) = 'integer' AND damaged BETWEEN 0 AND 1000000000),
    quality_control INTEGER NOT NULL DEFAULT 0 CHECK (typeof(quality_control) = 'integer' AND quality_control BETWEEN 0 AND 1000000000),
    safety_stock    INTEGER NOT NULL DEFAULT 0 CHECK (typeof(safety_stock) = 'integer' AND safety_stock BETWEEN 0 AND 1000000000),
    incoming        INTEGER NOT NULL DEFAULT 0 CHECK (typeof(incoming) = 'integer' AND incoming BETWEEN 0 AND 1000000000),
    available_floor INTEGER NOT NULL DEFAULT 0 CHECK (available_floor <= 0),
    PRIMARY KEY (product_id, location_id),
    CONSTRAINT never_oversold CHECK (available BETWEEN available_floor AND 1000000000)
) WITHOUT ROWID;


-- 4. Reservations ----------------------------------------------------------------------------------------------------

CREATE TABLE reservations (
    reservation_id BLOB PRIMARY KEY NOT NULL CHECK (length(reservation_id) = 16),
    state          TEXT NOT NULL CHECK (state IN ('ACTIVE', 'COMMITTED', 'FULFILLED', 'RELEASED', 'EXPIRED', 'CANCELLED')),
    lines          TEXT NOT NULL CHECK (json_valid(lines)),
    channel        TEXT NOT NULL DEFAULT '',
    owner_ref      TEXT NOT NULL DEFAULT '',
    -- Whose it is: 's:' and the subject of a token, 'o:' and the owner_ref that an order service named, 'a:' and the address
    -- of an anonymous caller; '' without tokens.
    holder         TEXT NOT NULL DEFAULT '',
    order_ref      TEXT NOT NULL DEFAULT '',
    fingerprint    BLOB NOT NULL,
    version        INTEGER NOT NULL DEFAULT 1,
    created_at     INTEGER NOT NULL CHECK (created_at >= -62135596800000000 AND created_at < 253402300800000000),
    expires_at     INTEGER NOT NULL CHECK (expires_at >= -62135596800000000 AND expires_at < 253402300800000000),
    -- When the time to live was restarted last. NULL stands for created_at. expires_at less this is the time to live.
    renewed_at     INTEGER CHECK (renewed_at >= -62135596800000000 AND renewed_at < 253402300800000000),
    -- How often the time to live was restarted, and whether holdings include the reservation while it is active.
    extensions     INTEGER NOT NULL DEFAULT 0,
    counted        INTEGER NOT NULL DEFAULT 0,
    -- When it became an order, and whether it counts against max_per_owner of its products.
    ordered_at     INTEGER CHECK (ordered_at >= -62135596800000000 AND ordered_at < 253402300800000000),
    in_purchases   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'ACTIVE';
-- What counts against max_per_owner: for each holder its active reservations, and its orders by time.
CREATE INDEX reservations_in_purchases ON reservations (holder, coalesce(ordered_at, 9223372036854775807))
    WHERE in_purchases AND state IN ('ACTIVE', 'COMMITTED', 'FULFILLED');
CREATE INDEX reservations_order ON reservations (created_at);
CREATE INDEX reservations_by_owner ON reservations (owner_ref, created_at) WHERE owner_ref <> '';
CREATE INDEX reservations_by_order ON reservations (order_ref, created_at) WHERE order_ref <> '';

-- What a holder's counted active reservations have: the number of them (product_id ''), and their units of a product.
CREATE TABLE holdings (
    holder     TEXT NOT NULL,
    product_id TEXT NOT NULL,
    units      INTEGER NOT NULL CHECK (typeof(units) = 'integer' AND units BETWEEN 0 AND 1000000000),
    PRIMARY KEY (holder, product_id)
) WITHOUT ROWID;


-- 5. Ledger ----------------------------------------------------------------------------------------------------------

CREATE TABLE stock_movements (
    movement_id           INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id            TEXT NOT NULL,
    location_id           TEXT NOT NULL,
    available_delta       INTEGER NOT NULL,
    reserved_delta        INTEGER NOT NULL,
    committed_delta       INTEGER NOT NULL,
    damaged_delta         INTEGER NOT NULL,
    quality_control_delta INTEGER NOT NULL,
    safety_stock_delta    INTEGER NOT NULL,
    incoming_delta        INTEGER NOT NULL,
    available_after       INTEGER NOT NULL,
    reserved_after        INTEGER NOT NULL,
    committed_after       INTEGER NOT NULL,
    damaged_after         INTEGER NOT NULL,
    quality_control_after INTEGER NOT NULL,
    safety_stock_after    INTEGER NOT NULL,
    incoming_after        INTEGER NOT NULL,
    reason                TEXT NOT NULL,
    note                  TEXT NOT NULL DEFAULT '',
    reference             TEXT NOT NULL DEFAULT '',
    actor                 TEXT NOT NULL DEFAULT '',
    reservation_id        BLOB,
    version               INTEGER NOT NULL,
    created_at            INTEGER NOT NULL DEFAULT (cast(unixepoch('subsec') * 1000000 AS INTEGER))
);
CREATE INDEX stock_movements_product ON stock_movements (product_id, movement_id);


-- 6. Counts ----------------------------------------------------------------------------------------------------------

CREATE TABLE stock_counts (
    product_id  TEXT NOT NULL,
    location_id TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('AVAILABLE', 'DAMAGED', 'QUALITY_CONTROL', 'SAFETY_STOCK', 'INCOMING')),
    counted_at  INTEGER NOT NULL,
    written_at  INTEGER NOT NULL,
    correction  INTEGER NOT NULL,
    PRIMARY KEY (product_id, location_id, state, written_at)
) WITHOUT ROWID;


-- 7. Outbox and idempotency keys -------------------------------------------------------------------------------------

CREATE TABLE outbox (
    outbox_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id TEXT NOT NULL,
    version    INTEGER NOT NULL
);

CREATE TABLE idempotency_keys (
    key_hash    BLOB PRIMARY KEY NOT NULL CHECK (length(key_hash) = 16),
    fingerprint BLOB NOT NULL,
    answer      TEXT NOT NULL,
    created_at  INTEGER NOT NULL DEFAULT (cast(unixepoch('subsec') * 1000000 AS INTEGER))
) WITHOUT ROWID;


-- 8. Triggers on stock levels ----------------------------------------------------------------------------------------
--
-- A changed level gives its product a new version and an outbox row, for every writer. An outside writer's change is
-- also recorded in the ledger. Onhand deletes no levels, so every DELETE is an outside writer's.

-- +goose StatementBegin
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels BEGIN
    UPDATE stock_levels SET available_floor = (
        SELECT CASE WHEN inventory_policy = 'CONTINUE' THEN -coalesce(backorder_limit, 1000000000) ELSE 0 END
        FROM products WHERE product_id = NEW.product_id)
    WHERE product_id = NEW.product_id AND location_id = NEW.location_id;
    UPDATE products SET version = version + 1 WHERE product_id = NEW.product_id;
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM products WHERE product_id = NEW.product_id;
    INSERT INTO stock_movements (product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, version)
    SELECT NEW.product_id, NEW.location_id,
        NEW.available, NEW.reserved, NEW.committed, NEW.damaged, NEW.quality_control, NEW.safety_stock, NEW.incoming,
        NEW.available, NEW.reserved, NEW.committed, NEW.damaged, NEW.quality_control, NEW.safety_stock, NEW.incoming,
        'EXTERNAL', version FROM products
    WHERE product_id = NEW.product_id AND (SELECT active FROM onhand_writer) = 0;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER stock_levels_updated AFTER UPDATE OF available, reserved, committed, damaged, quality_control, safety_stock, incoming ON stock_levels
WHEN (NEW.available, NEW.reserved, NEW.committed, NEW.damaged, NEW.quality_control, NEW.safety_stock, NEW.incoming)
    IS NOT (OLD.available, OLD.reserved, OLD.committed, OLD.damaged, OLD.quality_control, OLD.safety_stock, OLD.incoming)
BEGIN
    UPDATE products SET version = version + 1 WHERE product_id = NEW.product_id;
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM products WHERE product_id = NEW.product_id;
    INSERT INTO stock_movements (product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, version)
    SELECT NEW.product_id, NEW.location_id,
        NEW.available - OLD.available, NEW.reserved - OLD.reserved, NEW.committed - OLD.committed, NEW.damaged - OLD.damaged,
        NEW.quality_control - OLD.quality_control, NEW.safety_stock - OLD.safety_stock, NEW.incoming - OLD.incoming,
        NEW.available, NEW.reserved, NEW.committed, NEW.damaged, NEW.quality_control, NEW.safety_stock, NEW.incoming,
        'EXTERNAL', version FROM products
    WHERE product_id = NEW.product_id AND (SELECT active FROM onhand_writer) = 0;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER stock_levels_deleted AFTER DELETE ON stock_levels BEGIN
    UPDATE products SET version = version + 1 WHERE product_id = OLD.product_id;
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM products WHERE product_id = OLD.product_id;
    INSERT INTO stock_movements (product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, version)
    SELECT OLD.product_id, OLD.location_id,
        -OLD.available, -OLD.reserved, -OLD.committed, -OLD.damaged, -OLD.quality_control, -OLD.safety_stock, -OLD.incoming,
        0, 0, 0, 0, 0, 0, 0,
        'EXTERNAL', version FROM products
    WHERE product_id = OLD.product_id;
END;
-- +goose StatementEnd

-- A level below the floor of its product may rise, and then not fall again.
-- +goose StatementBegin
CREATE TRIGGER stock_level_rises AFTER UPDATE OF available ON stock_levels WHEN OLD.available < 0 AND NEW.available > OLD.available BEGIN
    UPDATE stock_levels SET available_floor = min(0, NEW.available, (
        SELECT CASE WHEN inventory_policy = 'CONTINUE' THEN -coalesce(backorder_limit, 1000000000) ELSE 0 END
        FROM products WHERE product_id = NEW.product_id))
    WHERE product_id = NEW.product_id AND location_id = NEW.location_id;
END;
-- +goose StatementEnd


-- 9. Triggers on products --------------------------------------------------------------------------------------------

-- A new product replaces the cache's entry for an unknown product.
-- +goose StatementBegin
CREATE TRIGGER products_inserted AFTER INSERT ON products BEGIN
    INSERT INTO outbox (product_id, version) VALUES (NEW.product_id, NEW.version);
END;
-- +goose StatementEnd

-- A changed setting gives the product a new version, and its levels a new floor. A level that is already below the floor
-- may stay there or rise.
-- +goose StatementBegin
CREATE TRIGGER product_settings_changed AFTER UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, max_per_owner, owner_period, next_restock_at, channel_buffers ON products
WHEN (NEW.title, NEW.tracked, NEW.inventory_policy, NEW.backorder_limit, NEW.low_stock_threshold, NEW.max_per_reservation, NEW.max_per_owner, NEW.owner_period, NEW.next_restock_at, NEW.channel_buffers)
    IS NOT (OLD.title, OLD.tracked, OLD.inventory_policy, OLD.backorder_limit, OLD.low_stock_threshold, OLD.max_per_reservation, OLD.max_per_owner, OLD.owner_period, OLD.next_restock_at, OLD.channel_buffers)
BEGIN
    UPDATE products SET version = version + 1 WHERE product_id = NEW.product_id;
    INSERT INTO outbox (product_id, version) SELECT product_id, version FROM products WHERE product_id = NEW.product_id;
    UPDATE stock_levels SET available_floor = min(0, available,
        CASE WHEN NEW.inventory_policy = 'CONTINUE' THEN -coalesce(NEW.backorder_limit, 1000000000) ELSE 0 END)
    WHERE product_id = NEW.product_id;
END;
-- +goose StatementEnd

-- A CHECK cannot look into the object.
-- +goose StatementBegin
CREATE TRIGGER product_buffers_inserted BEFORE INSERT ON products WHEN NEW.channel_buffers IS NOT NULL BEGIN
    SELECT raise(ABORT, 'onhand: constraint: channel_buffers must be units by channel')
    WHERE (SELECT count(*) > 250 OR count(*) > count(CASE WHEN type = 'integer' AND value BETWEEN 0 AND 1000000000 AND length(key) BETWEEN 1 AND 255 THEN 1 END)
        FROM json_each(NEW.channel_buffers));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER product_buffers_updated BEFORE UPDATE OF channel_buffers ON products WHEN NEW.channel_buffers IS NOT NULL BEGIN
    SELECT raise(ABORT, 'onhand: constraint: channel_buffers must be units by channel')
    WHERE (SELECT count(*) > 250 OR count(*) > count(CASE WHEN type = 'integer' AND value BETWEEN 0 AND 1000000000 AND length(key) BETWEEN 1 AND 255 THEN 1 END)
        FROM json_each(NEW.channel_buffers));
END;
-- +goose StatementEnd


-- 10. Triggers on locations and channels -----------------------------------------------------------------------------
--
-- Every instance caches locations and channels and reloads them when the directory version grows.

-- +goose StatementBegin
CREATE TRIGGER directory_locations_insert AFTER INSERT ON locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_locations_update AFTER UPDATE ON locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_locations_delete AFTER DELETE ON locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channels_insert AFTER INSERT ON channels BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channels_update AFTER UPDATE ON channels BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channels_delete AFTER DELETE ON channels BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channel_locations_insert AFTER INSERT ON channel_locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channel_locations_update AFTER UPDATE ON channel_locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER directory_channel_locations_delete AFTER DELETE ON channel_locations BEGIN
    UPDATE onhand_meta SET directory_version = directory_version + 1;
END;
-- +goose StatementEnd

-- A channel's revision grows with the channel and with its list of locations.
-- +goose StatementBegin
CREATE TRIGGER channel_inserted AFTER INSERT ON channels BEGIN
    UPDATE channels SET revision = (SELECT deleted_channel_revision + 1 FROM onhand_meta) WHERE channel_id = NEW.channel_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER channel_updated AFTER UPDATE OF name, sourcing, buffer ON channels
WHEN (NEW.name, NEW.sourcing, NEW.buffer) IS NOT (OLD.name, OLD.sourcing, OLD.buffer) BEGIN
    UPDATE channels SET revision = revision + 1 WHERE channel_id = NEW.channel_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER channel_deleted AFTER DELETE ON channels BEGIN
    UPDATE onhand_meta SET deleted_channel_revision = max(deleted_channel_revision, OLD.revision);
    UPDATE products SET channel_buffers = (
        SELECT nullif(json_group_object(key, value), '{}') FROM json_each(products.channel_buffers) WHERE key <> OLD.channel_id)
    WHERE channel_buffers IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(products.channel_buffers) WHERE key = OLD.channel_id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER channel_locations_inserted AFTER INSERT ON channel_locations BEGIN
    UPDATE channels SET revision = revision + 1 WHERE channel_id = NEW.channel_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER channel_locations_updated AFTER UPDATE ON channel_locations BEGIN
    UPDATE channels SET revision = revision + 1 WHERE channel_id IN (OLD.channel_id, NEW.channel_id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER channel_locations_deleted AFTER DELETE ON channel_locations BEGIN
    UPDATE channels SET revision = revision + 1 WHERE channel_id = OLD.channel_id;
END;
-- +goose StatementEnd

-- A location that opens, closes or changes its priority changes the stock of every product with a level there.
-- +goose StatementBegin
CREATE TRIGGER location_changed AFTER UPDATE OF active, priority ON locations
WHEN (NEW.active, NEW.priority) IS NOT (OLD.active, OLD.priority) BEGIN
    UPDATE products SET version = version + 1
    WHERE product_id IN (SELECT product_id FROM stock_levels WHERE location_id = NEW.location_id);
    INSERT INTO outbox (product_id, version)
    SELECT product_id, version FROM products
    WHERE product_id IN (SELECT product_id FROM stock_levels WHERE location_id = NEW.location_id);
    UPDATE channels SET revision = revision + 1
    WHERE channel_id IN (SELECT channel_id FROM channel_locations WHERE location_id = NEW.location_id);
END;
-- +goose StatementEnd


-- 11. Refused changes ------------------------------------------------------------------------------------------------
--
-- Nobody rewrites the ledger or gives an id a second meaning.

-- +goose StatementBegin
CREATE TRIGGER append_only_update BEFORE UPDATE ON stock_movements BEGIN
    SELECT raise(ABORT, 'onhand: the ledger is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER append_only_delete BEFORE DELETE ON stock_movements BEGIN
    SELECT raise(ABORT, 'onhand: the ledger is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keep_products BEFORE DELETE ON products BEGIN
    SELECT raise(ABORT, 'onhand: a product that is gone would restart its version; delete its stock_levels instead');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keep_product_ids BEFORE UPDATE OF product_id ON products BEGIN
    SELECT raise(ABORT, 'onhand: ids are for ever; make a new product');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keep_channel_ids BEFORE UPDATE OF channel_id ON channels BEGIN
    SELECT raise(ABORT, 'onhand: ids are for ever; make a new channel');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keep_channel_revision BEFORE UPDATE OF revision ON channels WHEN NEW.revision < OLD.revision BEGIN
    SELECT raise(ABORT, 'onhand: the revision of a channel only grows');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER keep_level_ids BEFORE UPDATE OF product_id, location_id ON stock_levels BEGIN
    SELECT raise(ABORT, 'onhand: delete the level and make a new one');
END;
-- +goose StatementEnd


-- +goose Down
DROP TABLE onhand_meta;
DROP TABLE onhand_writer;
DROP TABLE channel_locations;
DROP TABLE channels;
DROP TABLE stock_levels;
DROP TABLE locations;
DROP TABLE products;
DROP TABLE reservations;
DROP TABLE holdings;
DROP TABLE stock_movements;
DROP TABLE stock_counts;
DROP TABLE outbox;
DROP TABLE idempotency_keys;
