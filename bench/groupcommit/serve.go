package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/testbed"
	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
)

// The ways a served API may write.
const (
	writerOnhand  = "onhand"
	writerEach    = "each"
	writerNothing = "nothing"
)

// apiCommand is one server in a process of its own: the API over a store that writes in one of these ways.
type apiCommand struct {
	fixture.StoreFlags
	Writer  string `required:"" enum:"onhand,each,nothing"`
	Profile string // a file for the CPU profile of all turns; none when empty
}

// Run serves, prints the address, and ends when its input ends.
func (c apiCommand) Run(ctx context.Context) (err error) {
	st, err := c.Start()
	if err != nil {
		return err
	}
	defer st.Close()
	write, closeWriter, err := c.writer(ctx, st)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeWriter()) }()
	stopProfile, err := profileCPU(c.Profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	return testbed.Serve(ctx, &http.Server{Handler: handler(apiStore{st, write}), ConnContext: transport.ConnContext})
}

// writer is the way to write, and what closes it.
func (c apiCommand) writer(ctx context.Context, st *store.Store) (writeFunc, func() error, error) {
	switch c.Writer {
	case writerEach:
		e, err := fixture.OpenOneEach(ctx, c.StoreFlags)
		if err != nil {
			return nil, nil, err
		}
		return e.Write, func() error { return e.Close(context.WithoutCancel(ctx)) }, nil
	case writerNothing:
		answer := reserved(time.Now())
		return func(context.Context, models.Write) (models.WriteResult, error) { return answer, nil }, func() error { return nil }, nil
	}
	return st.Write, func() error { return nil }, nil
}

// apiStore reads as the store does and writes in its own way.
type apiStore struct {
	*store.Store
	write writeFunc
}

// Write implements graph.Store.
func (s apiStore) Write(ctx context.Context, write models.Write) (models.WriteResult, error) {
	return s.write(ctx, write)
}

// handler serves the API as the program does.
func handler(st graph.Store) http.Handler {
	sites, _ := guard.NewSites(guard.SitesConfig{Local: true}) // names nothing that could be wrong
	api := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: slog.New(slog.DiscardHandler)},
		Closing:  transport.NewClosing(), Allows: sites.Allows,
	})
	mux := http.NewServeMux()
	mux.Handle("/graphql", guard.Local(api))
	return sites.Handler(mux)
}

// reserved is the answer of a server that writes nothing.
func reserved(now time.Time) models.WriteResult {
	return models.WriteResult{Reservation: &models.Reservation{
		ID: "res_" + strings.Repeat("0", 32), State: models.ReservationActive,
		CreatedAt: now, ExpiresAt: now.Add(fixture.TTL), ServerTime: now, Version: 1,
	}}
}
