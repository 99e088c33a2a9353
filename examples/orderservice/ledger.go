package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"

	"onhand/examples/orderservice/client"
)

const (
	// eventMax is the largest event in bytes.
	eventMax = 1 << 20
	// silenceMax is how long a stream may be silent: Onhand sends a comment every 10 s.
	silenceMax = 25 * time.Second
)

// follower keeps the units ordered of each product, from Onhand's ledger.
type follower struct {
	orders *orders
	url    string
	onhand withToken
}

// run follows the ledger until the context ends. It continues after the movement that it
// handled last, also after a restart: none is missed and none counts twice.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.follow(ctx)
		if ctx.Err() == nil {
			slog.Warn("the ledger is followed again", "in", retryMin*5, "error", err)
			wait(ctx, retryMin*5)
		}
	}
}

// follow reads one stream of movements until it ends.
func (f *follower) follow(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	after, err := f.after(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"query": client.Moved_Operation, "variables": map[string]any{"after": after}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := f.onhand.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	silent := time.AfterFunc(silenceMax, func() { stop(errors.New("the stream is silent")) })
	defer silent.Stop()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, eventMax)
	for lines.Scan() {
		silent.Reset(silenceMax)
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok && strings.TrimSpace(data) != "" {
			if err := f.handle(ctx, []byte(data)); err != nil {
				return err
			}
		}
	}
	return errors.Join(errors.New("the stream has ended"), lines.Err(), context.Cause(ctx))
}

// after returns where to continue. The first time that is after the newest movement, which
// is stored at once: a stream may break before it has sent one.
func (f *follower) after(ctx context.Context) (*string, error) {
	after, err := f.orders.position(ctx)
	if err != nil || after != nil {
		return after, err
	}
	newest, err := client.Newest(ctx, graphql.NewClient(f.url, f.onhand))
	if err != nil {
		return nil, err
	}
	if newest.StockMovements == nil || len(newest.StockMovements.Nodes) == 0 {
		return nil, errors.New("the ledger is empty")
	}
	cursor := newest.StockMovements.Nodes[0].Cursor
	return &cursor, f.orders.within(ctx, func(tx *sql.Tx) error { return setPosition(ctx, tx, cursor) })
}

// handle takes one movement in: its units and its cursor in one transaction.
func (f *follower) handle(ctx context.Context, data []byte) error {
	var event struct {
		Data   *client.MovedResponse
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return err
	}
	if event.Data == nil {
		return fmt.Errorf("no movement: %v", event.Errors)
	}
	m := event.Data.StockMoved
	units := 0
	for _, change := range m.Changes {
		if change.State == client.StockStateCommitted {
			units += change.Delta
		}
	}
	return f.orders.within(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO ordered_units (product_id, units) VALUES (?, ?)
			ON CONFLICT (product_id) DO UPDATE SET units = units + excluded.units`, m.ProductId, units); err != nil {
			return err
		}
		return setPosition(ctx, tx, m.Cursor)
	})
}

func setPosition(ctx context.Context, tx *sql.Tx, cursor string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO ledger_position VALUES (1, ?) ON CONFLICT DO UPDATE SET cursor = excluded.cursor`, cursor)
	return err
}

// position returns the cursor of the movement that was handled last; null before the first.
func (o *orders) position(ctx context.Context) (cursor *string, err error) {
	var text string
	err = o.db.QueryRowContext(ctx, `SELECT cursor FROM ledger_position`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &text, err
}

// orderedUnits returns how many units of a product are ordered and not shipped, as the
// ledger says.
func (o *orders) orderedUnits(ctx context.Context, productID string) (units int, err error) {
	err = o.db.QueryRowContext(ctx, `SELECT coalesce(sum(units), 0) FROM ordered_units WHERE product_id = ?`, productID).Scan(&units)
	return units, err
}
