// Command orderservice is an example of a service that places, ships and cancels orders
// with Onhand. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/Khan/genqlient/graphql"

	"onhand/examples/orderservice/client"
)

// bodyMax bounds a request in bytes.
const bodyMax = 1 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until the context ends. Settings: LISTEN_ADDR, ONHAND_URL, ONHAND_TOKEN,
// ORDERS_DATABASE.
func run(ctx context.Context) error {
	o, err := openOrders(ctx, setting("ORDERS_DATABASE", "orders.db"))
	if err != nil {
		return err
	}
	defer o.Close()
	url := setting("ONHAND_URL", "http://127.0.0.1:8080/graphql")
	stopped := start(ctx, o, url, withToken{token: os.Getenv("ONHAND_TOKEN"), next: http.DefaultClient})
	defer stopped()
	server := &http.Server{Addr: setting("LISTEN_ADDR", "127.0.0.1:8090"), Handler: routes(o), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// start starts the worker and the follower. The function that it returns waits for their
// end after the context has ended.
func start(ctx context.Context, o *orders, url string, onhand withToken) (wait func()) {
	var running sync.WaitGroup
	running.Go(func() { (&worker{orders: o, onhand: graphql.NewClient(url, onhand)}).run(ctx) })
	running.Go(func() { (&follower{orders: o, url: url, onhand: onhand}).run(ctx) })
	return running.Wait
}

// routes is the service's own API. Each request may be repeated.
func routes(o *orders) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /orders/{ref}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ ReservationID string }
		answer(w, r, &body, func() error { return o.place(r.Context(), r.PathValue("ref"), body.ReservationID) })
	})
	mux.HandleFunc("PUT /orders/{ref}/parcels/{parcel}", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Lines []client.ReservationLinePartInput
		}
		answer(w, r, &body, func() error { return o.ship(r.Context(), r.PathValue("ref"), r.PathValue("parcel"), body.Lines) })
	})
	mux.HandleFunc("DELETE /orders/{ref}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, nil, func() error { return o.cancel(r.Context(), r.PathValue("ref")) })
	})
	mux.HandleFunc("GET /orders/{ref}", func(w http.ResponseWriter, r *http.Request) {
		state, refusal, err := o.state(r.Context(), r.PathValue("ref"))
		if err != nil {
			http.Error(w, err.Error(), statusOf(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"state": state, "refusal": refusal})
	})
	return mux
}

// answer reads the body of a request, if it may have one, and does what was asked.
func answer(w http.ResponseWriter, r *http.Request, body any, do func() error) {
	if body != nil {
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(body); err != nil {
			http.Error(w, "the body is no JSON object of this request", http.StatusBadRequest)
			return
		}
	}
	if err := do(); err != nil {
		status := statusOf(err)
		if status == http.StatusInternalServerError {
			slog.Error("a request failed", "path", r.URL.Path, "error", err)
			err = errors.New("internal error")
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errUnknownOrder):
		return http.StatusNotFound
	case errors.Is(err, errKnownOrder), errors.Is(err, errWrongState):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}
