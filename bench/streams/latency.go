package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/fixture"
	"onhand/bench/floors"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// The floors of lone changes. The receiver is this process, as the client of Onhand is.
const (
	redisPair  = "PUBLISH to SUBSCRIBE between two bare processes"
	notifyPair = "NOTIFY to LISTEN on two bare connections"
)

const (
	ofChange = "a lone change"
	// ofBareUpdate is an UPDATE of a bare table whose trigger notifies.
	ofBareUpdate = "an UPDATE of a bare table that notifies"
	// lonePause is the pause between two changes: every process is idle again.
	lonePause = 5 * time.Millisecond
	// loneTimeout bounds the wait for the message of one change.
	loneTimeout = 5 * time.Second
	// loneWarm is how many changes come before the first that counts.
	loneWarm = 20
)

// lone sends changes one after the other, each after the message of the one before has arrived, and measures the time
// between the two. change returns both times, since started.
func (t *turn) lone(ctx context.Context, of string, change func() (sent, arrived time.Duration, err error)) error {
	var latency loadgen.Histogram
	for i := range loneWarm + t.shop.command.Samples {
		sent, arrived, err := change()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("change %d: %w", i, err)
		}
		if i >= loneWarm {
			latency.Add(arrived - sent)
		}
		time.Sleep(lonePause)
	}
	taken := latency.Drain()
	t.set(of, loadgen.Measurement{P50: taken.Percentile(50), P99: taken.Percentile(99), Acknowledged: taken.Count})
	return nil
}

// nextVersion reads frames until one has a version.
func (s *subscriber) nextVersion() (version int64, at time.Duration, err error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(loneTimeout)); err != nil {
		return 0, 0, err
	}
	for {
		message, err := s.next()
		if err != nil {
			return 0, 0, err
		}
		at := time.Since(started)
		if version, ok := versionIn(message); ok {
			return version, at, nil
		}
		if !bytes.Contains(message, []byte(`"ping"`)) {
			return 0, 0, fmt.Errorf("unexpected: %q", message)
		}
		if err := s.send(`{"type":"pong"}`); err != nil {
			return 0, 0, err
		}
	}
}

// newerVersion is nextVersion for the next change: versions grow by one.
func (s *subscriber) newerVersion() (at time.Duration, err error) {
	version, at, err := s.nextVersion()
	if last := s.version.Swap(version); err == nil && version != last+1 {
		err = fmt.Errorf("version %d after %d", version, last)
	}
	return at, err
}

// commitToFrame measures a reservation by one instance until a client of another has its frame: from the moment that
// Postgres has acknowledged the commit.
func (c *streamCommand) commitToFrame(ctx context.Context, t *turn) (err error) {
	if t.server.name == redisPair {
		return t.publishToSubscriber(ctx)
	}
	proxy, throughURL, err := startProxy(t.shop.flags.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.close()) }()
	writer, err := testbed.StartProgram(ctx, c.Server, throughURL, t.shop.flags.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Stop()) }()
	requester, err := loadgen.DialRequester(writer.Address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, requester.Close()) }()
	client, err := dial(t.server.address, 0, 0, true)
	if err != nil {
		return err
	}
	defer client.close()
	return t.lone(ctx, ofChange, func() (sent, arrived time.Duration, err error) {
		answered := make(chan error, 1)
		go func() { answered <- reserveOne(requester) }()
		arrived, err = client.newerVersion()
		sent = time.Duration(proxy.answered.Load())
		return sent, arrived, errors.Join(err, <-answered)
	})
}

// reserveOne reserves one unit of the first product.
func reserveOne(requester *loadgen.Requester) error {
	body := fmt.Sprintf(`{"query":"mutation($input: ReserveStockInput!) { reserveStock(input: $input) { reservation { id } errors { message } } }",`+
		`"variables":{"input":{"idempotencyKey":%q,"lines":[{"productId":%q,"quantity":1}]}}}`, rand.Text(), fixture.ShopProduct(0))
	answer, err := requester.Do(requester.AppendRequest(nil, []byte(body)))
	if err == nil && !bytes.Contains(answer, []byte(`"errors":[]`)) {
		err = fmt.Errorf("a reservation was not made: %s", answer)
	}
	return err
}

// publishToSubscriber measures PUBLISH by a bare process until this one has the message. Both ends read the machine's
// clock.
func (t *turn) publishToSubscriber(ctx context.Context) (err error) {
	client, err := floors.Client(t.shop.flags.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	messages := client.Subscribe(ctx, bareChannel)
	defer func() { err = errors.Join(err, messages.Close()) }()
	if _, err := messages.Receive(ctx); err != nil {
		return err
	}
	publisher, err := testbed.StartChild(ctx, "publisher", "--redis", t.shop.flags.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.End()) }()
	return t.lone(ctx, ofChange, func() (sent, arrived time.Duration, err error) {
		if _, err := publisher.Stdin.Write([]byte("go\n")); err != nil {
			return 0, 0, err
		}
		wait, cancel := context.WithTimeout(ctx, loneTimeout)
		defer cancel()
		_, err = messages.ReceiveMessage(wait)
		at := time.Now().UnixNano()
		line, sentErr := publisher.Stdout.ReadString('\n')
		nanos, parseErr := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		return time.Duration(nanos), time.Duration(at), errors.Join(err, sentErr, parseErr)
	})
}

// bareChannel is the channel of the bare processes.
const bareChannel = "bare"

// publisherCommand is a bare process that publishes.
type publisherCommand struct {
	Redis string `required:""`
}

// Run publishes a message for each line of its input, and prints when it began to.
func (c publisherCommand) Run(ctx context.Context) (err error) {
	client, err := floors.Client(c.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	text := floorMessage(fixture.ShopProduct(0), 1)
	fmt.Println(testbed.ReadyWord)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		at := time.Now().UnixNano()
		if err := client.Publish(ctx, bareChannel, text).Err(); err != nil {
			return err
		}
		fmt.Println(at)
	}
	return nil
}

// updateToFrame measures an UPDATE by an outside writer, from before it is sent until a client has its frame. Beside it,
// NOTIFY on one connection until another has the notification, and an UPDATE of a bare table that notifies.
func (c *streamCommand) updateToFrame(ctx context.Context, t *turn) (err error) {
	writer, err := pgx.Connect(ctx, t.shop.flags.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close(context.WithoutCancel(ctx))) }()
	if t.server.name == notifyPair {
		return t.notifyToListener(ctx, writer)
	}
	client, err := dial(t.server.address, 0, 0, true)
	if err != nil {
		return err
	}
	defer client.close()
	return t.lone(ctx, ofChange, func() (sent, arrived time.Duration, err error) {
		sent = time.Since(started)
		updated := execute(ctx, writer, "UPDATE stock_levels SET available = available - 1 WHERE product_id = $1 AND location_id = 'warehouse'", fixture.ShopProduct(0))
		arrived, err = client.newerVersion()
		return sent, arrived, errors.Join(err, <-updated)
	})
}

// execute executes a statement beside what the caller does.
func execute(ctx context.Context, conn *pgx.Conn, statement string, arguments ...any) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, statement, arguments...)
		done <- err
	}()
	return done
}

func (t *turn) notifyToListener(ctx context.Context, writer *pgx.Conn) (err error) {
	listener, err := pgx.Connect(ctx, t.shop.flags.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listener.Close(context.WithoutCancel(ctx))) }()
	for _, statement := range []string{bareTable, bareRow, bareFunction, bareTrigger} {
		if _, err := writer.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := listener.Exec(ctx, "LISTEN bare"); err != nil {
		return err
	}
	notified := func(statement string) func() (sent, arrived time.Duration, err error) {
		return func() (sent, arrived time.Duration, err error) {
			sent = time.Since(started)
			executed := execute(ctx, writer, statement)
			wait, cancel := context.WithTimeout(ctx, loneTimeout)
			defer cancel()
			_, err = listener.WaitForNotification(wait)
			arrived = time.Since(started)
			return sent, arrived, errors.Join(err, <-executed)
		}
	}
	if err := t.lone(ctx, ofChange, notified("NOTIFY bare, 'product-0000000'")); err != nil {
		return err
	}
	return t.lone(ctx, ofBareUpdate, notified("UPDATE bare SET quantity = quantity - 1"))
}

// The bare table: what a design without Onhand has.
const (
	bareTable    = `CREATE TABLE IF NOT EXISTS bare (product_id text PRIMARY KEY, quantity int NOT NULL)`
	bareRow      = `INSERT INTO bare VALUES ('product-0000000', 1000000) ON CONFLICT DO NOTHING`
	bareFunction = `CREATE OR REPLACE FUNCTION bare_changed() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_notify('bare', NEW.product_id); RETURN null; END $$`
	bareTrigger = `CREATE OR REPLACE TRIGGER bare_changed AFTER UPDATE ON bare FOR EACH ROW EXECUTE FUNCTION bare_changed()`
)

// inProcess is a floor that needs no server.
func inProcess(variant string) *server {
	return &server{name: variant, pid: os.Getpid(), failure: func() error { return nil }, stop: func() error { return nil }}
}
