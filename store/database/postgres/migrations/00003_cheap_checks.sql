-- +goose Up

-- A CHECK of a table is parsed and planned anew by each statement that writes
-- the table, whichever columns it writes; that of a domain once a session, and
-- only for what is written. So is the condition of a trigger: what it calls is
-- looked into each time. Whoever writes a wrong value is told the name of the
-- constraint, which therefore says what is right.
CREATE DOMAIN onhand_id AS text COLLATE "C" CONSTRAINT "1 to 255 characters" CHECK (length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN onhand_quantity AS integer CONSTRAINT "0 to 1000000000" CHECK (VALUE BETWEEN 0 AND 1000000000);
CREATE DOMAIN onhand_limit AS integer CONSTRAINT "1 to 1000000000" CHECK (VALUE BETWEEN 1 AND 1000000000);
CREATE DOMAIN onhand_floor AS integer CONSTRAINT "0 or less" CHECK (VALUE <= 0);
CREATE DOMAIN onhand_version AS bigint CONSTRAINT "more than 0" CHECK (VALUE > 0);
CREATE DOMAIN onhand_policy AS text CONSTRAINT "DENY or CONTINUE" CHECK (VALUE IN ('DENY', 'CONTINUE'));
CREATE DOMAIN onhand_state AS text CONSTRAINT "a state of reservations" CHECK (VALUE IN ('ACTIVE', 'COMMITTED', 'FULFILLED', 'RELEASED', 'EXPIRED', 'CANCELLED'));
CREATE DOMAIN onhand_key AS bytea CONSTRAINT "16 bytes" CHECK (length(VALUE) = 16);
-- Not infinity, and no year that RFC 3339 cannot write.
CREATE DOMAIN onhand_time AS timestamptz CONSTRAINT "years 1 to 9999" CHECK (VALUE >= '0001-01-01Z' AND VALUE < '10000-01-01Z');

DROP TRIGGER product_settings_change ON products;
DROP TRIGGER product_settings_changed ON products;
DROP TRIGGER keep_product_ids ON products;
ALTER TABLE products
    DROP CONSTRAINT products_product_id_check,
    DROP CONSTRAINT products_inventory_policy_check,
    DROP CONSTRAINT products_backorder_limit_check,
    DROP CONSTRAINT products_low_stock_threshold_check,
    DROP CONSTRAINT products_max_per_reservation_check,
    DROP CONSTRAINT products_next_restock_at_check,
    DROP CONSTRAINT products_version_check,
    ALTER product_id TYPE onhand_id,
    ALTER inventory_policy TYPE onhand_policy,
    ALTER backorder_limit TYPE onhand_quantity,
    ALTER low_stock_threshold TYPE onhand_quantity,
    ALTER max_per_reservation TYPE onhand_limit,
    ALTER next_restock_at TYPE onhand_time,
    ALTER version TYPE onhand_version;
CREATE TRIGGER product_settings_change BEFORE UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_change();
CREATE TRIGGER product_settings_changed AFTER UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_changed();
CREATE TRIGGER keep_product_ids BEFORE UPDATE OF product_id ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ids are for ever; make a new product');

DROP TRIGGER stock_levels_inserted ON stock_levels;
DROP TRIGGER stock_levels_updated ON stock_levels;
DROP TRIGGER stock_level_floor ON stock_levels;
ALTER TABLE stock_levels
    DROP CONSTRAINT stock_levels_reserved_check,
    DROP CONSTRAINT stock_levels_committed_check,
    DROP CONSTRAINT stock_levels_damaged_check,
    DROP CONSTRAINT stock_levels_quality_control_check,
    DROP CONSTRAINT stock_levels_safety_stock_check,
    DROP CONSTRAINT stock_levels_incoming_check,
    DROP CONSTRAINT stock_levels_available_floor_check,
    ALTER reserved TYPE onhand_quantity,
    ALTER committed TYPE onhand_quantity,
    ALTER damaged TYPE onhand_quantity,
    ALTER quality_control TYPE onhand_quantity,
    ALTER safety_stock TYPE onhand_quantity,
    ALTER incoming TYPE onhand_quantity,
    ALTER available_floor TYPE onhand_floor;
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (current_setting('onhand.writer', true) IS DISTINCT FROM 'versions') EXECUTE FUNCTION stock_levels_inserted();
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (current_setting('onhand.writer', true) IS DISTINCT FROM 'versions') EXECUTE FUNCTION stock_levels_updated();
CREATE TRIGGER stock_level_floor BEFORE UPDATE OF available ON stock_levels
    FOR EACH ROW WHEN (NEW.available < 0 OR OLD.available_floor < 0) EXECUTE FUNCTION stock_level_floor();
DROP FUNCTION onhand_versions;

ALTER TABLE reservations
    DROP CONSTRAINT reservations_reservation_id_check,
    DROP CONSTRAINT reservations_state_check,
    DROP CONSTRAINT reservations_created_at_check,
    DROP CONSTRAINT reservations_expires_at_check,
    ALTER reservation_id TYPE onhand_key,
    ALTER state TYPE onhand_state,
    ALTER created_at TYPE onhand_time,
    ALTER expires_at TYPE onhand_time;

-- An index of summaries begins with one of the first, empty range, which every
-- row of that range then has to be added to. Without it the range is summed up
-- when it is full, as all others are.
-- +goose StatementBegin
DO $$
DECLARE
    range_bytes constant bigint := 128 * current_setting('block_size')::bigint;
BEGIN
    IF pg_relation_size('stock_movements') < range_bytes THEN
        PERFORM brin_desummarize_range('stock_movements_order', 0), brin_desummarize_range('stock_movements_origin', 0);
    END IF;
    IF pg_relation_size('idempotency_keys') < range_bytes THEN
        PERFORM brin_desummarize_range('idempotency_keys_age', 0);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE reservations
    ALTER reservation_id TYPE bytea,
    ALTER state TYPE text,
    ALTER created_at TYPE timestamptz,
    ALTER expires_at TYPE timestamptz,
    ADD CHECK (length(reservation_id) = 16),
    ADD CHECK (state IN ('ACTIVE', 'COMMITTED', 'FULFILLED', 'RELEASED', 'EXPIRED', 'CANCELLED')),
    ADD CHECK (created_at >= '0001-01-01Z' AND created_at < '10000-01-01Z'),
    ADD CHECK (expires_at >= '0001-01-01Z' AND expires_at < '10000-01-01Z');

-- +goose StatementBegin
CREATE FUNCTION onhand_versions() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') = 'versions' $$;
-- +goose StatementEnd
DROP TRIGGER stock_levels_inserted ON stock_levels;
DROP TRIGGER stock_levels_updated ON stock_levels;
DROP TRIGGER stock_level_floor ON stock_levels;
ALTER TABLE stock_levels
    ALTER reserved TYPE integer,
    ALTER committed TYPE integer,
    ALTER damaged TYPE integer,
    ALTER quality_control TYPE integer,
    ALTER safety_stock TYPE integer,
    ALTER incoming TYPE integer,
    ALTER available_floor TYPE integer,
    ADD CHECK (reserved BETWEEN 0 AND 1000000000),
    ADD CHECK (committed BETWEEN 0 AND 1000000000),
    ADD CHECK (damaged BETWEEN 0 AND 1000000000),
    ADD CHECK (quality_control BETWEEN 0 AND 1000000000),
    ADD CHECK (safety_stock BETWEEN 0 AND 1000000000),
    ADD CHECK (incoming BETWEEN 0 AND 1000000000),
    ADD CHECK (available_floor <= 0);
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (NOT onhand_versions()) EXECUTE FUNCTION stock_levels_inserted();
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (NOT onhand_versions()) EXECUTE FUNCTION stock_levels_updated();
CREATE TRIGGER stock_level_floor BEFORE UPDATE OF available ON stock_levels
    FOR EACH ROW WHEN (NEW.available < 0 OR OLD.available_floor < 0) EXECUTE FUNCTION stock_level_floor();

DROP TRIGGER product_settings_change ON products;
DROP TRIGGER product_settings_changed ON products;
DROP TRIGGER keep_product_ids ON products;
ALTER TABLE products
    ALTER product_id TYPE text COLLATE "C",
    ALTER inventory_policy TYPE text,
    ALTER backorder_limit TYPE integer,
    ALTER low_stock_threshold TYPE integer,
    ALTER max_per_reservation TYPE integer,
    ALTER next_restock_at TYPE timestamptz,
    ALTER version TYPE bigint,
    ADD CHECK (length(product_id) BETWEEN 1 AND 255),
    ADD CHECK (inventory_policy IN ('DENY', 'CONTINUE')),
    ADD CHECK (backorder_limit BETWEEN 0 AND 1000000000),
    ADD CHECK (low_stock_threshold BETWEEN 0 AND 1000000000),
    ADD CHECK (max_per_reservation BETWEEN 1 AND 1000000000),
    ADD CHECK (next_restock_at >= '0001-01-01Z' AND next_restock_at < '10000-01-01Z'),
    ADD CHECK (version > 0);
CREATE TRIGGER product_settings_change BEFORE UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_change();
CREATE TRIGGER product_settings_changed AFTER UPDATE OF title, tracked, inventory_policy, backorder_limit,
    low_stock_threshold, max_per_reservation, next_restock_at ON products
    FOR EACH ROW EXECUTE FUNCTION product_settings_changed();
CREATE TRIGGER keep_product_ids BEFORE UPDATE OF product_id ON products
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('ids are for ever; make a new product');
DROP DOMAIN onhand_id, onhand_quantity, onhand_limit, onhand_floor, onhand_version, onhand_policy, onhand_state, onhand_key, onhand_time;
