package faults

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

// eventBytesMax is the longest line of an event stream that is read.
const eventBytesMax = 1 << 20

// message is one of graphql-transport-ws.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

func (sub *Subscriber) request() json.RawMessage {
	raw, _ := json.Marshal(map[string]any{"query": watchDocument, "variables": map[string]any{"ids": sub.products}}) // cannot fail
	return raw
}

// stockIn reads one execution result.
func stockIn(raw []byte) (Event, error) {
	var result struct {
		Data   *struct{ StockChanged *Event }
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return Event{}, fmt.Errorf("event %.200s: %w", raw, err)
	}
	if len(result.Errors) > 0 || result.Data == nil || result.Data.StockChanged == nil {
		return Event{}, fmt.Errorf("event %.300s", raw)
	}
	return *result.Data.StockChanged, nil
}

// overWebSocket listens until the connection ends, and says how.
func (sub *Subscriber) overWebSocket(ctx context.Context, url string, subscribed func(), give func(Event)) error {
	dial, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	conn, _, err := websocket.Dial(dial, strings.Replace(url, "http", "ws", 1)+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(eventBytesMax)
	for _, m := range []message{{Type: "connection_init"}, {ID: "1", Type: "subscribe", Payload: sub.request()}} {
		if err := wsjson.Write(dial, conn, m); err != nil {
			return err
		}
	}
	subscribed()
	for {
		var m message
		wait, cancel := context.WithTimeout(ctx, silenceMax)
		err := wsjson.Read(wait, conn, &m)
		cancel()
		if err != nil {
			return err
		}
		switch m.Type {
		case "ping":
			if err := wsjson.Write(ctx, conn, message{Type: "pong"}); err != nil {
				return err
			}
		case "next":
			e, err := stockIn(m.Payload)
			if err != nil {
				return err
			}
			give(e)
		case "error", "complete":
			return fmt.Errorf("%s %s", m.Type, m.Payload)
		}
	}
}

// overEvents is the same with server-sent events.
func (sub *Subscriber) overEvents(ctx context.Context, url string, subscribed func(), give func(Event)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(sub.request()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	silence := time.AfterFunc(silenceMax, func() { cancel(errors.New("silence")) })
	defer silence.Stop()
	response, err := streams.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	subscribed()
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
			e, err := stockIn([]byte(data))
			if err != nil {
				return err
			}
			give(e)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the stream ended")
}

// streams keep one connection each and no time limit.
var streams = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
