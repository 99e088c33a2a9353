package floors

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// poolSize is how many connections to Redis or Postgres a floor has.
const poolSize = 16

// quantity is what every floor without a store answers.
const quantity = 50_000_010

// request is what the floors without GraphQL read of a request's body.
type request struct {
	Query     string `json:"query"`
	Variables struct {
		IDs []string `json:"ids"`
		ID  string   `json:"id"`
	} `json:"variables"`
}

// stock is one product of their answers.
type stock struct {
	ProductID         string `json:"productId"`
	QuantityAvailable int    `json:"quantityAvailable"`
	Version           int64  `json:"version"`
}

type answer struct {
	Data struct {
		Stocks []stock `json:"stocks,omitempty"`
		Stock  *stock  `json:"stock,omitempty"`
	} `json:"data"`
}

// plain is an HTTP handler that reads products and answers in JSON.
type plain func(ctx context.Context, ids []string) ([]stock, error)

// ServeHTTP implements http.Handler.
func (read plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ids := in.Variables.IDs
	if in.Variables.ID != "" {
		ids = []string{in.Variables.ID}
	}
	found, err := read(r.Context(), ids)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	var out answer
	if in.Variables.ID != "" {
		out.Data.Stock = &found[0]
	} else {
		out.Data.Stocks = found
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client has gone
}

// JSON answers without any store.
func JSON() http.Handler {
	return plain(func(_ context.Context, ids []string) ([]stock, error) {
		found := make([]stock, len(ids))
		for i, id := range ids {
			found[i] = stock{ProductID: id, QuantityAvailable: quantity, Version: 1}
		}
		return found, nil
	})
}

// Redis answers from the hashes at the keys prefix + product id.
func Redis(client *redis.Client, prefix string) http.Handler {
	return plain(func(ctx context.Context, ids []string) ([]stock, error) {
		hashes, err := readHashes(ctx, client, prefix, ids)
		if err != nil {
			return nil, err
		}
		found := make([]stock, len(ids))
		for i, hash := range hashes {
			if found[i], err = hash.stock(); err != nil {
				return nil, err
			}
		}
		return found, nil
	})
}

// hash is what HGETALL answers.
type hash map[string]string

func readHashes(ctx context.Context, client *redis.Client, prefix string, ids []string) ([]hash, error) {
	pipeline := client.Pipeline()
	commands := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		commands[i] = pipeline.HGetAll(ctx, prefix+id)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, err
	}
	hashes := make([]hash, len(ids))
	for i, command := range commands {
		hashes[i] = command.Val()
	}
	return hashes, nil
}

func (h hash) stock() (s stock, err error) {
	if s.QuantityAvailable, err = strconv.Atoi(h["quantity"]); err != nil {
		return s, err
	}
	s.ProductID = h["product_id"]
	s.Version, err = strconv.ParseInt(h["version"], 10, 64)
	return s, err
}

// Client opens a client for a floor.
func Client(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.PoolSize = poolSize
	return redis.NewClient(options), nil
}

// FillRedis writes the hash of each product.
func FillRedis(ctx context.Context, client *redis.Client, prefix string, ids []string) error {
	pipeline := client.Pipeline()
	for _, id := range ids {
		pipeline.HSet(ctx, prefix+id, "product_id", id, "quantity", quantity, "version", 1)
	}
	_, err := pipeline.Exec(ctx)
	return err
}

// selectStock reads what the floors answer with.
const selectStock = `SELECT p.product_id, coalesce(sum(l.available), 0)::int, p.version
	FROM products p LEFT JOIN stock_levels l USING (product_id)
	WHERE p.product_id = ANY ($1) GROUP BY p.product_id`

// Select answers from Onhand's tables, with one SELECT a request.
func Select(pool *pgxpool.Pool) http.Handler {
	return plain(func(ctx context.Context, ids []string) ([]stock, error) {
		rows, err := pool.Query(ctx, selectStock, ids)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		places := make(map[string]int, len(ids))
		for i, id := range ids {
			places[id] = i
		}
		found := make([]stock, len(ids))
		for rows.Next() {
			var s stock
			if err := rows.Scan(&s.ProductID, &s.QuantityAvailable, &s.Version); err != nil {
				return nil, err
			}
			found[places[s.ProductID]] = s
		}
		return found, rows.Err()
	})
}

// Pool opens connections to Postgres for a floor.
func Pool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	return pgxpool.NewWithConfig(ctx, config)
}
