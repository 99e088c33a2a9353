-- +goose Up

-- Apart from the migration before it: writers that go on meanwhile lock one table
-- after the other, some levels first and some products, and whoever locks both as
-- a whole would wait for those who wait for it.

-- Whoever makes or deletes a level changes the shape, Onhand too. Its name puts
-- it after the triggers that lock the products in order.
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
