-- +goose Up

-- A hold's lines are written once and read as a whole: as json they are half as
-- long, and are not taken apart when they are written, which was a fifth of what a
-- hold costs.
ALTER TABLE reservations ALTER lines TYPE json;

-- +goose Down
ALTER TABLE reservations ALTER lines TYPE jsonb;
