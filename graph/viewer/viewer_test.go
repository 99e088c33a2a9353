package viewer

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/channel"
	"onhand/models/owner"
)

func as(subject string, scopes ...guard.Scope) context.Context {
	return guard.WithIdentity(guard.WithTokensConfigured(context.Background()), guard.Identity{Subject: subject, Scopes: scopes})
}

// TestHolderOf: a subject holds what it reserves, an order service what no ownerRef is
// named for. Nobody holds what was reserved without a token and an ownerRef.
func TestHolderOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ctx      context.Context
		ownerRef string
		want     owner.Holder
	}{
		{as("alice"), "cart", owner.OfSubject("alice")},
		{as("shop", guard.WriteOrders), "", owner.OfSubject("shop")},
		{as("shop", guard.WriteOrders), "alice", owner.OfOwnerRef("alice")},
		{as("shop", guard.ReadOrders), "alice", owner.OfSubject("shop")},
		{guard.WithTokensConfigured(context.Background()), "alice", ""},
		{guard.WithIdentity(context.Background(), guard.Identity{Subject: "local", Scopes: []guard.Scope{guard.WriteOrders}}), "alice", owner.OfOwnerRef("alice")},
		{guard.WithIdentity(context.Background(), guard.Identity{Subject: "local", Scopes: []guard.Scope{guard.WriteOrders}}), "", ""},
	} {
		require.Equal(t, c.want, HolderOf(c.ctx, c.ownerRef))
	}
	require.Equal(t, owner.Access{Subject: "shop", Orders: true}, Acting(as("shop", guard.WriteOrders)))
	require.Equal(t, owner.Access{Subject: "shop"}, Reading(as("shop", guard.WriteOrders)))
	require.Equal(t, owner.Access{Subject: "shop", Orders: true}, Reading(as("shop", guard.ReadOrders)))
	require.Equal(t, owner.Access{}, Reading(context.Background()))
}

// TestShown: quantities are capped on both sides of zero.
func TestShown(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 5: 5, 6: 5, -5: -5, -6: -5, 1 << 40: 5} {
		require.Equal(t, want, QuantityCap(5).Shown(n))
		require.Equal(t, n, QuantityCap(0).Shown(n))
	}
	require.Equal(t, QuantityCap(5), QuantityCap(5).For(as("alice", guard.ReadOrders)))
	require.Zero(t, QuantityCap(5).For(as("shop", guard.ReadInventory)))
	require.Nil(t, QuantityCap(5).Available(&models.Stock{}))
}

func mugs(available int) *models.Stock {
	return &models.Stock{
		Product: models.Product{ProductID: "mug", Tracked: true, InventoryPolicy: models.Deny, Version: 7},
		Levels:  []models.Level{{ProductID: "mug", LocationID: "london", Active: true, Quantities: models.Quantities{Available: available, Committed: 3}}},
		Epoch:   "e", AsOf: time.UnixMilli(1_900_000_000_000), Source: models.FromCache,
	}
}

// TestAppearance: a stock looks different when something changed that a capped caller
// sees, and only then.
func TestAppearance(t *testing.T) {
	t.Parallel()
	const limit = QuantityCap(5)
	before := limit.appearance(mugs(9))
	for name, c := range map[string]struct {
		change func(*models.Stock)
		seen   bool
	}{
		"version":   {func(s *models.Stock) { s.Version++ }, false},
		"time":      {func(s *models.Stock) { s.AsOf = s.AsOf.Add(time.Hour) }, false},
		"source":    {func(s *models.Stock) { s.Source = models.FromDatabase }, false},
		"epoch":     {func(s *models.Stock) { s.Epoch = "f" }, false},
		"above":     {func(s *models.Stock) { s.Levels[0].Available = 5 }, false},
		"committed": {func(s *models.Stock) { s.Levels[0].Committed++ }, false},
		"below":     {func(s *models.Stock) { s.Levels[0].Available = 4 }, true},
		"status":    {func(s *models.Stock) { s.LowStockThreshold = 9 }, true},
		"title":     {func(s *models.Stock) { s.Title = new("Mug") }, true},
		"restock":   {func(s *models.Stock) { s.NextRestockAt = new(time.Now()) }, true},
		"buffers":   {func(s *models.Stock) { s.Buffers = channel.Buffers{"web": 1} }, true},
		"untracked": {func(s *models.Stock) { s.Tracked = false }, true},
	} {
		s := mugs(9)
		c.change(s)
		require.Equal(t, c.seen, limit.appearance(s) != before, name)
	}
}

// TestErrors: a refusal has no quantity above the cap, its message included.
func TestErrors(t *testing.T) {
	t.Parallel()
	failure := models.Failure{Message: "only 77", Path: models.InputPath("lines")}
	errs := []models.UserError{
		models.InsufficientStockError{Failure: failure, ProductID: "mug", Requested: 100, Available: 77},
		models.InsufficientStockError{Failure: failure, ProductID: "mug", Requested: 100, Available: 5},
		models.StaleQuantityError{Failure: failure, Expected: 1, Actual: 77},
		models.QuantityLimitExceededError{Failure: failure, Requested: 6, Limit: 5},
		models.QuantityLimitExceededError{Failure: failure, Requested: models.QuantityMax + 77, Limit: models.QuantityMax},
		models.NotFoundError{Failure: failure},
	}
	require.Equal(t, errs, QuantityCap(0).Errors(errs))
	shown := QuantityCap(5).Errors(errs)
	for i, want := range map[int]string{0: `there are fewer than 100 of "mug"`, 1: "only 77", 2: "the quantity is not the expected one", 3: "only 77"} {
		require.Equal(t, want, shown[i].GetMessage())
		require.Equal(t, errs[i].GetPath(), shown[i].GetPath())
	}
	require.Equal(t, 5, shown[0].(models.InsufficientStockError).Available)
	require.Equal(t, 5, shown[2].(models.StaleQuantityError).Actual)
	require.Equal(t, models.QuantityMax, shown[4].(models.QuantityLimitExceededError).Requested)
	require.Equal(t, errs[5], shown[5])
}
