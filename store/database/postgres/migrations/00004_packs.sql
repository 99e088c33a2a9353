-- +goose Up

-- The ledger is kept as rows and as packs. A pack is what one transaction
-- reserved of one level for many holds: one row and one index entry for up to
-- 256 movements. The view stock_movements has a row for each movement, however
-- it is kept; stock_movement_entries, one for each row or pack.
ALTER TABLE stock_movements RENAME TO stock_movement_rows;

-- From here on each row or pack takes 256 ids at once; a pack has as many
-- movements at most, numbered on from its first. The sequence's start says where
-- that begins.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER TABLE stock_movement_rows ALTER movement_id SET INCREMENT BY 256 SET START WITH %s',
        (SELECT CASE WHEN is_called THEN last_value + 256 ELSE last_value END FROM stock_movements_movement_id_seq));
END $$;
-- +goose StatementEnd

-- Nothing is checked here but by the audit: a CHECK is planned anew by each
-- statement that writes.
CREATE TABLE stock_movement_packs (
    first_id        bigint    NOT NULL,
    product_id      text COLLATE "C" NOT NULL,
    location_id     text COLLATE "C" NOT NULL,
    -- How many movements, and how many units together.
    size            integer   NOT NULL,
    total           integer   NOT NULL,
    -- Of each movement, in order: how many units, and for whom (16 bytes each).
    quantities      integer[] NOT NULL,
    reservations    bytea     NOT NULL,
    -- The level before the first of them.
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
-- Ids are random: there is nothing to compress.
ALTER TABLE stock_movement_packs ALTER reservations SET STORAGE EXTERNAL, ALTER quantities SET STORAGE EXTERNAL;
CREATE INDEX stock_movement_packs_order ON stock_movement_packs USING brin (first_id, txid, created_at)
    WITH (autosummarize = on, pages_per_range = 32);
-- Its first, empty range is there at once, and every pack of that range would
-- have to be added to it.
SELECT brin_desummarize_range('stock_movement_packs_order', 0);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movement_packs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('the ledger is append-only');

-- The movements of a pack; taken is how many units were reserved with this one.
-- It is part of the statement that calls it. What is kept elsewhere is fetched
-- once a pack (OFFSET 0).
-- +goose StatementBegin
CREATE FUNCTION unpack_movements(first_id bigint, quantities integer[], reservations bytea)
    RETURNS TABLE (movement_id bigint, quantity integer, taken integer, reservation_id bytea) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 256 AS
$$
    SELECT $1 + u.n - 1, u.quantity, (sum(u.quantity) OVER (ORDER BY u.n ROWS UNBOUNDED PRECEDING))::integer,
        substr(whole.ids, 16 * u.n::integer - 15, 16)
    FROM (SELECT $3 || '' AS ids OFFSET 0) whole CROSS JOIN unnest($2) WITH ORDINALITY AS u(quantity, n)
$$;
-- +goose StatementEnd

-- xmin is that of the table: who wrote it here.
CREATE VIEW stock_movements AS
    SELECT movement_id, product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        reason, note, reference, actor, reservation_id, version, created_at, txid, xmin
    FROM stock_movement_rows
    UNION ALL
    SELECT u.movement_id, p.product_id, p.location_id, -u.quantity, u.quantity, 0, 0, 0, 0, 0,
        p.available - u.taken, p.reserved + u.taken, p.committed, p.damaged, p.quality_control, p.safety_stock, p.incoming,
        'RESERVED', '', '', '', u.reservation_id, p.version, p.created_at, p.txid, p.xmin
    FROM stock_movement_packs p CROSS JOIN LATERAL unpack_movements(p.first_id, p.quantities, p.reservations) u;

-- One row for each row or pack: from the first movement's id to the last one's,
-- the deltas of all, and the quantities after the last. sound tells that what is
-- kept of a pack fits together.
CREATE VIEW stock_movement_entries AS
    SELECT movement_id, movement_id AS last_id, 1 AS size, true AS sound, product_id, location_id,
        available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
        available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
        version, created_at, txid, xmin
    FROM stock_movement_rows
    UNION ALL
    SELECT first_id, first_id + size - 1, size,
        cardinality(quantities) = size AND length(reservations) = 16 * size
            AND (SELECT coalesce(sum(q) = total AND min(q) > 0 AND count(q) = count(*), false) FROM unnest(quantities) q),
        product_id, location_id, -total, total, 0, 0, 0, 0, 0,
        available - total, reserved + total, committed, damaged, quality_control, safety_stock, incoming,
        version, created_at, txid, xmin
    FROM stock_movement_packs;

-- Who still writes to stock_movements writes rows: others, and copies of Onhand
-- from before that are about to be replaced.
-- +goose StatementBegin
CREATE FUNCTION stock_movements_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stock_movement_rows (product_id, location_id,
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
CREATE TRIGGER append_only INSTEAD OF UPDATE OR DELETE ON stock_movements
    FOR EACH ROW EXECUTE FUNCTION refuse('the ledger is append-only');

-- The functions of outside writers name the table.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION record_external(rows stock_movement_rows[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO stock_movement_rows (product_id, location_id,
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION level_difference(old stock_levels, new stock_levels) RETURNS stock_movement_rows LANGUAGE sql STABLE AS $$
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
        '', '', '', '', null, 0, null, null)::stock_movement_rows
$$;
-- +goose StatementEnd

-- +goose Down
INSERT INTO stock_movement_rows (movement_id, product_id, location_id,
    available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
    available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
    reason, reservation_id, version, created_at, txid) OVERRIDING SYSTEM VALUE
SELECT u.movement_id, p.product_id, p.location_id, -u.quantity, u.quantity, 0, 0, 0, 0, 0,
    p.available - u.taken, p.reserved + u.taken, p.committed, p.damaged, p.quality_control, p.safety_stock, p.incoming,
    'RESERVED', u.reservation_id, p.version, p.created_at, p.txid
FROM stock_movement_packs p CROSS JOIN LATERAL unpack_movements(p.first_id, p.quantities, p.reservations) u
ORDER BY u.movement_id;
DROP VIEW stock_movements, stock_movement_entries;
DROP TABLE stock_movement_packs;
DROP FUNCTION unpack_movements, stock_movements_inserted;
ALTER TABLE stock_movement_rows RENAME TO stock_movements;
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER TABLE stock_movements ALTER movement_id SET INCREMENT BY 1 SET START WITH 1 RESTART WITH %s',
        (SELECT CASE WHEN is_called THEN last_value + 256 ELSE last_value END FROM stock_movements_movement_id_seq));
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION record_external(rows stock_movements[]) RETURNS void LANGUAGE sql AS $$
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION level_difference(old stock_levels, new stock_levels) RETURNS stock_movements LANGUAGE sql STABLE AS $$
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
