package serving

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/models/quota"
	"onhand/store"
)

// rateSettings bound what callers use, where tokens are configured.
type rateSettings struct {
	RateReads         string `name:"rate-reads" env:"RATE_READS" default:"600000/1m" help:"What one caller may read: complexity at once, and the time in which it is free again; off for no bound." more:"[quotas](limits.md#callers)"`
	RateWrites        string `name:"rate-writes" env:"RATE_WRITES" default:"300000/1m" help:"The same for mutations."`
	RateSubscriptions string `name:"rate-subscriptions" env:"RATE_SUBSCRIPTIONS" default:"300000/1m" help:"The same for starts of subscriptions."`
	RateDocuments     string `name:"rate-documents" env:"RATE_DOCUMENTS" default:"600000/1m" help:"The same for the bytes of documents that are not in the server's cache."`
	RateTokens        string `name:"rate-tokens" env:"RATE_TOKENS" default:"6000/1m" help:"The bearer tokens of one address that are not accepted; after as many, unknown tokens of this address are refused unverified."`
	RateExempt        string `name:"rate-exempt" env:"RATE_EXEMPT" default:"admin,write:orders" help:"Callers without these five bounds and without those of streams per address, by scope, address or prefix: gateways and storefront servers, since all shoppers come through them."`
}

// rateDefaults are the quotas of a class that is set to nothing.
var rateDefaults = map[ratelimit.Class]string{
	ratelimit.Reads: "600000/1m", ratelimit.Writes: "300000/1m", ratelimit.Subscriptions: "300000/1m", ratelimit.Documents: "600000/1m",
	ratelimit.Tokens: "6000/1m",
}

// texts are the quotas by class, as they are set.
func (s *rateSettings) texts() map[ratelimit.Class]string {
	return map[ratelimit.Class]string{
		ratelimit.Reads: s.RateReads, ratelimit.Writes: s.RateWrites, ratelimit.Subscriptions: s.RateSubscriptions, ratelimit.Documents: s.RateDocuments,
		ratelimit.Tokens: s.RateTokens,
	}
}

func (s *rateSettings) check() error {
	_, err := s.config()
	return err
}

// config has the quotas and the exempt callers.
func (s *rateSettings) config() (config ratelimit.LimiterConfig, err error) {
	config.Quotas = map[ratelimit.Class]quota.Quota{}
	for class, text := range s.texts() {
		if config.Quotas[class], err = quota.Parse(cmp.Or(text, rateDefaults[class])); err != nil {
			return config, fmt.Errorf("rate-%s: %w", class, err)
		}
	}
	for text := range strings.SplitSeq(s.RateExempt, ",") {
		if text == "" {
			continue
		}
		if scope := guard.Scope(strings.TrimSpace(text)); slices.Contains(guard.Scopes, scope) {
			config.ExemptScopes = append(config.ExemptScopes, scope)
			continue
		}
		networks, err := guard.ParseNetworks([]string{text})
		if err != nil {
			return config, fmt.Errorf("rate-exempt: %w; the scopes are %v", err, guard.Scopes)
		}
		config.ExemptNetworks = append(config.ExemptNetworks, networks...)
	}
	return config, nil
}

// startLimiter returns a limiter by these settings, which were checked, and what ends its
// work; nil where no tokens are checked: then all callers are of this machine.
func (s *rateSettings) startLimiter(ctx context.Context, tokens bool, st *store.Store, log *slog.Logger) (limiter *ratelimit.Limiter, stop func()) {
	if !tokens {
		return nil, func() {}
	}
	config, _ := s.config()
	config.Logger = log
	if shared := st.Quotas(); shared != nil {
		config.Exchange = shared
	}
	limiter = ratelimit.New(config)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { limiter.Run(ctx) })
	return limiter, func() {
		cancel()
		running.Wait()
	}
}

// countRefusals counts what a limiter refuses.
func countRefusals(registry *prometheus.Registry, limiter *ratelimit.Limiter) {
	for _, class := range ratelimit.Classes() {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "onhand_rate_limited_total", Help: "Operations that were refused because their caller had used up a quota, by class: reads, writes, subscriptions, documents (bytes of documents that are not in the cache), tokens (tokens of an address after too many that were not accepted).",
			ConstLabels: prometheus.Labels{"class": class.String()},
		}, func() float64 { return float64(limiter.Limited(class)) }))
	}
	gauge := func(name, help string, read func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("onhand_rate_buckets", "Buckets of callers in this instance.", func() float64 { return float64(limiter.Buckets()) })
	gauge("onhand_rate_sharing", "1 while quotas hold over all instances; 0 while Redis is away and each instance bounds its own share.", func() float64 {
		if limiter.Sharing() {
			return 1
		}
		return 0
	})
}
