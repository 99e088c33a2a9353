-- +goose Up

-- True inside Onhand's own write transactions, which keep the ledger and tell
-- Redis themselves.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION onhand_writes() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') IN ('on', 'versions') $$;
-- +goose StatementEnd

-- True inside those that have the products locked, and give the new versions
-- and fill the outbox with their own statements.
-- +goose StatementBegin
CREATE FUNCTION onhand_versions() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') = 'versions' $$;
-- +goose StatementEnd

-- Ends a transaction that was decided on what is no longer so.
-- +goose StatementBegin
CREATE FUNCTION onhand_expect(so boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF so IS NOT TRUE THEN
        RAISE EXCEPTION 'onhand: not as expected' USING ERRCODE = 'ONH01';
    END IF;
END $$;
-- +goose StatementEnd

DROP TRIGGER stock_levels_inserted ON stock_levels;
DROP TRIGGER stock_levels_updated ON stock_levels;
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (NOT onhand_versions()) EXECUTE FUNCTION stock_levels_inserted();
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (NOT onhand_versions()) EXECUTE FUNCTION stock_levels_updated();

-- Who makes a level has its location locked by the foreign key. It is waited
-- for, and waits: else neither would see the other, and the level would be of
-- a location as it was, under a version that stays.
-- +goose StatementBegin
CREATE FUNCTION location_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM locations WHERE location_id = OLD.location_id FOR UPDATE;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER location_changes BEFORE UPDATE OF active, priority ON locations
    FOR EACH ROW WHEN ((NEW.active, NEW.priority) IS DISTINCT FROM (OLD.active, OLD.priority)) EXECUTE FUNCTION location_changes();

-- +goose Down
DROP TRIGGER location_changes ON locations;
DROP TRIGGER stock_levels_inserted ON stock_levels;
DROP TRIGGER stock_levels_updated ON stock_levels;
CREATE TRIGGER stock_levels_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_inserted();
CREATE TRIGGER stock_levels_updated AFTER UPDATE ON stock_levels
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_updated();
DROP FUNCTION location_changes, onhand_expect, onhand_versions;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION onhand_writes() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('onhand.writer', true), '') = 'on' $$;
-- +goose StatementEnd
