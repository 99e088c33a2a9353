package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"

	"onhand/bench/results"
)

const (
	// The popularity of products: near that of a real shop.
	zipfExponent, zipfOffset = 1.1, 20
	// scatter spreads popular products over the list of all. It is a prime.
	scatter = 15_485_863
	// nearCacheFull is the default of NEAR_CACHE_BYTES; smaller shops get as much smaller a cache.
	nearCacheFull = 64 << 20
	// fillLength is how many products a request asks for that fills Redis.
	fillLength = 250
)

// measureZipf reads products by their popularity. The shop has more products than fit into the near cache, and no
// request is sent twice. All products are in Redis.
func measureZipf(ctx context.Context, c *readCommand, w workload) (rounds []results.Round, err error) {
	s, err := c.openShop(ctx, c.Products)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.fillFloors(ctx); err != nil {
		return nil, err
	}
	size := int64(nearCacheFull) * int64(min(c.Products, zipfProductsFull)) / zipfProductsFull
	if err := s.startWanted(ctx, w, "NEAR_CACHE_BYTES="+strconv.FormatInt(size, 10)); err != nil {
		return nil, err
	}
	for _, one := range s.running {
		if one.name != onhand {
			continue
		}
		if _, err := c.once(w, one, w.ask.scan(0, c.Products, fillLength)); err != nil {
			return nil, err
		}
	}
	seed := uint64(0) // every connection of every turn has requests of its own
	return c.rounds(w, s, func(int) func() prepared {
		seed++
		return popular(w.ask, c.Products, seed)
	})
}

// popular draws requests. They are made by hand: encoding/json would cost as much as the server.
func popular(q question, shopSize int, seed uint64) func() prepared {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(seed, 14)), zipfExponent, zipfOffset, uint64(shopSize-1))
	document, _ := json.Marshal(q.document) // a string; cannot fail
	p := prepared{numbers: make([]int, 0, pageLength)}
	start := append(append([]byte(`{"query":`), document...), `,"variables":{"ids":[`...)
	return func() prepared {
		p.numbers, p.body = p.numbers[:0], append(p.body[:0], start...)
		for len(p.numbers) < pageLength {
			n := int(zipf.Uint64()*scatter) % shopSize
			if slices.Contains(p.numbers, n) {
				continue
			}
			if len(p.numbers) > 0 {
				p.body = append(p.body, ',')
			}
			p.numbers = append(p.numbers, n)
			p.body = append(p.body, `"product-`...)
			for digit := 1_000_000; digit > 0; digit /= 10 {
				p.body = append(p.body, byte('0'+n/digit%10))
			}
			p.body = append(p.body, '"')
		}
		p.body = append(p.body, `]}}`...)
		return p
	}
}

// readData reads the data of an answer.
func readData(answer []byte) (answerData, error) {
	var read struct{ Data answerData }
	err := json.Unmarshal(answer, &read)
	return read.Data, err
}
