-- +goose Up

-- The shape of a product: its settings, and which levels it has. This grows when
-- they change, and stays when only quantities do: who counts on the shape and on
-- enough stock need not have seen the last change. It is counted by triggers alone,
-- so that copies of Onhand from before may go on beside newer ones. Where a level
-- lies is not in it: that is the directory_version of onhand_meta.
ALTER TABLE products ADD shape bigint NOT NULL DEFAULT 1;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION product_settings_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
        NEW.shape := OLD.shape + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

-- Whoever makes or deletes a level changes the shape, Onhand too: by one for each
-- statement, however many levels. The triggers' names put them after those that lock
-- the products in order.
-- +goose StatementBegin
CREATE FUNCTION stock_levels_shape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE products SET shape = shape + 1 WHERE product_id IN (SELECT product_id FROM changed);
    RETURN null;
END $$;
-- +goose StatementEnd
CREATE TRIGGER then_shape_inserted AFTER INSERT ON stock_levels
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_shape();
CREATE TRIGGER then_shape_deleted AFTER DELETE ON stock_levels
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stock_levels_shape();

-- +goose Down
DROP TRIGGER then_shape_inserted ON stock_levels;
DROP TRIGGER then_shape_deleted ON stock_levels;
DROP FUNCTION stock_levels_shape;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION product_settings_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
ALTER TABLE products DROP shape;
