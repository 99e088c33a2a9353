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

-- +goose Down
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
