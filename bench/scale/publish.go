package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/bench/results"
	"onhand/bench/testbed"
)

// The sizes of the table of published messages: instances that follow the pattern of all products.
var subscribersFull, subscribersQuick = []int{1, 5, 20, 50}, []int{1, 20}

const (
	// publishedMessages is how many messages a turn publishes, publishedBytes how long they are, as a change of one product
	// is, and publishedPipeline how many a batch has.
	publishedMessages, publishedBytes, publishedPipeline = 10_000, 300, 20
	// publishedPattern is that of the near cache, and publishedChannel one of a product.
	publishedPattern, publishedChannel = "inventory_change:*", "inventory_change:product-0000000"
	// publishedMax bounds the wait until all subscribers have all messages.
	publishedMax = time.Minute
	// followReadBytes is the read buffer of a subscriber.
	followReadBytes = 64 << 10
)

// The columns of the table: CPU time of Redis for one message.
const (
	columnAlone    = "one Redis, each alone, µs"
	columnTogether = "one Redis, 20 in a pipeline, µs"
	columnCluster  = "Cluster of six, 20 in a pipeline, all nodes, µs"
	columnBusiest  = "its busiest node, µs"
)

// published measures what a message costs Redis, by the instances that follow all products. In a cluster an instance has a
// subscription at each master.
func (c *scaleCommand) published(ctx context.Context) (_ *results.Growth, err error) {
	t := c.compare("instances that follow all products")
	one, err := testbed.StartRedis(ctx, testbed.OneRedis)
	if err != nil {
		return t.Growth, err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	cluster, err := testbed.StartRedis(ctx, testbed.ClusterRedis)
	if err != nil {
		return t.Growth, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	sizes := subscribersFull
	if c.Quick {
		sizes = subscribersQuick
	}
	for _, size := range sizes {
		var rounds []figures
		for range t.rounds {
			f := figures{}
			if f[columnAlone], _, err = publishTo(ctx, one, size, 1); err != nil {
				return t.Growth, err
			}
			if f[columnTogether], _, err = publishTo(ctx, one, size, publishedPipeline); err != nil {
				return t.Growth, err
			}
			if f[columnCluster], f[columnBusiest], err = publishTo(ctx, cluster, size, publishedPipeline); err != nil {
				return t.Growth, err
			}
			rounds = append(rounds, f)
		}
		t.Add(size, medians(rounds).of(t.Columns)...)
	}
	return t.Growth, nil
}

// publishTo publishes messages at all masters in turn, so many in a pipeline, to so many subscribers of each master. It
// returns the CPU time of all nodes and of the busiest one, in µs a message.
func publishTo(ctx context.Context, r *testbed.Redis, subscribers, pipeline int) (all, busiest float64, err error) {
	wanted := publishedMessages * messageBytes()
	var following sync.WaitGroup
	var connections []net.Conn
	defer func() {
		for _, connection := range connections {
			_ = connection.Close() // all was read
		}
	}()
	failures := make(chan error, subscribers*len(r.Masters()))
	for _, master := range r.Masters() {
		for range subscribers {
			connection, err := follow(ctx, master.Options().Addr)
			if err != nil {
				return 0, 0, err
			}
			connections = append(connections, connection)
			following.Go(func() { failures <- readAll(connection, wanted) })
		}
	}
	before, err := r.CPU(ctx)
	if err != nil {
		return 0, 0, err
	}
	message := strings.Repeat("x", publishedBytes)
	for sent, n := 0, 0; sent < publishedMessages; n++ {
		master := r.Masters()[n%len(r.Masters())]
		_, err := master.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range pipeline {
				p.Publish(ctx, publishedChannel, message)
				sent++
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	following.Wait()
	for range connections {
		if err := <-failures; err != nil {
			return 0, 0, err
		}
	}
	after, err := r.CPU(ctx)
	for i := range after {
		spent := float64((after[i] - before[i]).Microseconds()) / publishedMessages
		all, busiest = all+spent, max(busiest, spent)
	}
	return all, busiest, err
}

// messageBytes is how many bytes a subscriber of the pattern gets for a message.
func messageBytes() int {
	return len(fmt.Sprintf("*4\r\n$8\r\npmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n\r\n", len(publishedPattern), publishedPattern,
		len(publishedChannel), publishedChannel, publishedBytes)) + publishedBytes
}

// follow subscribes to the pattern. It reads bytes, because a client that parses would take the cores from Redis.
func follow(ctx context.Context, address string) (net.Conn, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	err = connection.SetDeadline(time.Now().Add(publishedMax))
	if err == nil {
		_, err = fmt.Fprintf(connection, "*2\r\n$10\r\nPSUBSCRIBE\r\n$%d\r\n%s\r\n", len(publishedPattern), publishedPattern)
	}
	if err == nil {
		err = readAll(connection, len(fmt.Sprintf("*3\r\n$10\r\npsubscribe\r\n$%d\r\n%s\r\n:1\r\n", len(publishedPattern), publishedPattern)))
	}
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return connection, nil
}

// readAll reads so many bytes.
func readAll(connection net.Conn, wanted int) error {
	buffer := make([]byte, followReadBytes)
	for wanted > 0 {
		n, err := connection.Read(buffer[:min(len(buffer), wanted)])
		if err != nil {
			return err
		}
		wanted -= n
	}
	return nil
}
