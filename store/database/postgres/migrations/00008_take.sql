-- +goose Up

-- Takes units for a plan by version: levels and products get what was planned, and
-- relays are told, if all is still as it was when that was decided, or the
-- transaction ends (onhand_expect). Answers with the time, which is read once all is
-- locked, and is onhand.now from then on. It is a function because one statement
-- after another costs less than the same as one with several parts, or sent one by
-- one.
--
-- Levels are locked before products, each in order of their ids: which is how they
-- are given, and an index finds them one after the other. A small table would be
-- read as it lies, were that not turned off. lock_wait is in milliseconds.
-- +goose StatementBegin
CREATE FUNCTION onhand_take(lock_wait text, planned_epoch text, planned_directory bigint, answer_keys bytea[],
    ids text[], versions bigint[], next_versions bigint[],
    level_ids text[], location_ids text[], next_available integer[], next_reserved integer[], taken integer[])
    RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    -- No level at all is several too: the statement for many is planned with it.
    several boolean := cardinality(level_ids) <> 1 OR cardinality(ids) > 1;
    changed bigint;
BEGIN
    PERFORM set_config('onhand.writer', 'versions', true), set_config('lock_timeout', lock_wait, true);
    IF several THEN
        PERFORM set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true);
    END IF;
    IF cardinality(level_ids) = 1 THEN
        UPDATE stock_levels SET available = next_available[1], reserved = next_reserved[1]
        WHERE product_id = level_ids[1] AND location_id = location_ids[1]
            AND available = next_available[1] + taken[1] AND reserved = next_reserved[1] - taken[1];
    ELSE
        UPDATE stock_levels l SET available = v.available, reserved = v.reserved
        FROM (SELECT unnest(level_ids) AS product_id, unnest(location_ids) AS location_id,
            unnest(next_available) AS available, unnest(next_reserved) AS reserved, unnest(taken) AS taken) v
        WHERE l.product_id = v.product_id AND l.location_id = v.location_id
            AND l.available = v.available + v.taken AND l.reserved = v.reserved - v.taken;
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(level_ids) THEN
        PERFORM onhand_expect(false);
    END IF;

    -- What keeps its version is locked all the same.
    IF cardinality(ids) = 1 THEN
        UPDATE products SET version = next_versions[1] WHERE product_id = ids[1] AND version = versions[1];
    ELSE
        UPDATE products p SET version = v.next
        FROM (SELECT unnest(ids) AS product_id, unnest(versions) AS version, unnest(next_versions) AS next) v
        WHERE p.product_id = v.product_id AND p.version = v.version;
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF several THEN -- onhand_meta is read as a whole, at costs that would start the JIT
        PERFORM set_config('enable_seqscan', 'on', true);
    END IF;
    INSERT INTO outbox (product_id, version)
    SELECT v.product_id, v.next FROM (SELECT unnest(ids) AS product_id, unnest(versions) AS version, unnest(next_versions) AS next) v
    WHERE v.next > v.version;

    -- A key that has an answer on record is answered from there.
    PERFORM onhand_expect(changed = cardinality(ids) AND epoch = planned_epoch AND directory_version = planned_directory
        AND NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE key_hash = ANY (answer_keys))) FROM onhand_meta;
    RETURN set_config('onhand.now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), true)::timestamptz;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION onhand_take;
