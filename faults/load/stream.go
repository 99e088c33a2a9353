package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// eventBytesMax is the longest message of a stream that is read.
const eventBytesMax = 1 << 20

// StreamEnded is how an event stream ends in order: without a "complete", after which clients would stay away.
const StreamEnded = "the stream ended"

// wsMessage is a message of graphql-transport-ws.
type wsMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// watchRequest is the request of a subscription to some products.
func watchRequest(document string, products []string) json.RawMessage {
	raw, _ := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"ids": products}}) // strings; cannot fail
	return raw
}

// decodeStock reads one execution result.
func decodeStock(raw []byte) (StockEvent, error) {
	var result struct {
		Data   *struct{ StockChanged *StockEvent }
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return StockEvent{}, fmt.Errorf("event %.200s: %w", raw, err)
	}
	if len(result.Errors) > 0 || result.Data == nil || result.Data.StockChanged == nil {
		return StockEvent{}, fmt.Errorf("event %.300s", raw)
	}
	return *result.Data.StockChanged, nil
}

// dialWebSocket connects and subscribes.
func dialWebSocket(ctx context.Context, client *http.Client, url string, request json.RawMessage) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: client})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(eventBytesMax)
	for _, m := range []wsMessage{{Type: "connection_init"}, {ID: "1", Type: "subscribe", Payload: request}} {
		if err := wsjson.Write(ctx, conn, m); err != nil {
			_ = conn.CloseNow() // the error above is the one to report
			return nil, err
		}
	}
	return conn, nil
}

// listenWebSocket listens until the connection ends, and reports how.
func listenWebSocket(ctx context.Context, client *http.Client, url string, request json.RawMessage, connected func(), receive func(StockEvent)) error {
	dial, cancel := context.WithTimeout(ctx, AttemptLimit)
	defer cancel()
	conn, err := dialWebSocket(dial, client, url, request)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }() // it has ended
	connected()
	for {
		var m wsMessage
		silence, cancel := context.WithTimeout(ctx, silenceMax)
		err := wsjson.Read(silence, conn, &m)
		cancel()
		if err != nil {
			return err
		}
		switch m.Type {
		case "ping":
			if err := wsjson.Write(ctx, conn, wsMessage{Type: "pong"}); err != nil {
				return err
			}
		case "next":
			e, err := decodeStock(m.Payload)
			if err != nil {
				return err
			}
			receive(e)
		case "error", "complete":
			return fmt.Errorf("%s %s", m.Type, m.Payload)
		}
	}
}

// streams have a connection each.
var streams = &http.Transport{DisableKeepAlives: true}

// streamClient is that of subscribers. It has no time limit.
func (t *Target) streamClient() *http.Client { return &http.Client{Transport: t.Access.over(streams)} }

// newSSERequest is the request of a subscription by server-sent events.
func newSSERequest(ctx context.Context, url string, request json.RawMessage) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	return r, nil
}

// listenSSE does the same with server-sent events.
func listenSSE(ctx context.Context, client *http.Client, url string, request json.RawMessage, connected func(), receive func(StockEvent)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := newSSERequest(ctx, url, request)
	if err != nil {
		return err
	}
	silence := time.AfterFunc(silenceMax, func() { cancel(errors.New("silence")) })
	defer silence.Stop()
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	connected()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, eventBytesMax)
	kind := ""
	for lines.Scan() {
		silence.Reset(silenceMax)
		if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
			kind = name
		}
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case kind == "complete":
			return errors.New("complete")
		case found && kind == "next":
			e, err := decodeStock([]byte(data))
			if err != nil {
				return err
			}
			receive(e)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New(StreamEnded)
}
