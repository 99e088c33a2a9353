package load

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/model"
)

// TestMisordered: streams that keep and break the promise that nothing goes backwards.
func TestMisordered(t *testing.T) {
	t.Parallel()
	event := func(session int, version int64) StockEvent {
		return StockEvent{Session: session, ProductID: "cup", Version: version}
	}
	for name, c := range map[string]struct {
		right  bool
		events []StockEvent
	}{
		"ever newer":                            {true, []StockEvent{event(1, 1), event(1, 2), event(1, 5)}},
		"the same twice":                        {false, []StockEvent{event(1, 2), event(1, 2)}},
		"backwards":                             {false, []StockEvent{event(1, 2), event(1, 1)}},
		"the same again after connecting again": {true, []StockEvent{event(1, 2), event(2, 2), event(2, 3)}},
		"older after connecting again":          {false, []StockEvent{event(1, 2), event(2, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.right, len((&Subscriber{events: c.events}).Misordered()) == 0)
		})
	}
}

// TestMisorderedAfterACrash: what only a crashed instance had sent may be missing for a while, and nothing else may.
func TestMisorderedAfterACrash(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	crash := Crash{Instance: 0, From: at(100), Killed: at(500), Until: at(2500)}
	event := func(session, instance, since, received int, version int64) StockEvent {
		return StockEvent{Session: session, Instance: instance, Since: at(since), At: at(received), ProductID: "cup", Version: version, Source: sourceDatabase}
	}
	fromRedis := func(e StockEvent) StockEvent {
		e.Source = "CACHE"
		return e
	}
	published, unpublished := event(1, 0, 0, 50, 4), event(1, 0, 0, 400, 6)
	older, again := event(2, 1, 550, 560, 5), event(2, 1, 550, 700, 6)
	for name, c := range map[string]struct {
		right  bool
		events []StockEvent
	}{
		"older, then again in time":              {true, []StockEvent{published, unpublished, older, again}},
		"older, then newer in time":              {true, []StockEvent{published, unpublished, older, event(2, 1, 550, 700, 9)}},
		"older twice, growing":                   {true, []StockEvent{unpublished, event(2, 1, 550, 560, 4), older, again}},
		"received after the kill":                {true, []StockEvent{event(1, 0, 0, 510, 6), older, again}},
		"again in another session":               {true, []StockEvent{unpublished, older, event(3, 0, 800, 900, 6)}},
		"never again":                            {false, []StockEvent{published, unpublished, older}},
		"again too late":                         {false, []StockEvent{published, unpublished, older, event(2, 1, 550, 2600, 6)}},
		"older than what was published":          {false, []StockEvent{published, unpublished, event(2, 1, 550, 560, 3), again}},
		"older than what others sent":            {false, []StockEvent{unpublished, older, event(3, 0, 600, 650, 4), again}},
		"older after it had come again":          {false, []StockEvent{unpublished, again, event(3, 0, 800, 900, 5), event(3, 0, 800, 950, 6)}},
		"sent before Redis was out of reach":     {false, []StockEvent{event(1, 0, 0, 90, 6), older, again}},
		"older than what Redis had":              {false, []StockEvent{fromRedis(unpublished), older, again}},
		"sent by the other instance":             {false, []StockEvent{event(1, 1, 0, 400, 6), event(2, 0, 550, 560, 5), event(2, 0, 550, 700, 6)}},
		"sent by the instance started again":     {false, []StockEvent{event(1, 0, 600, 700, 6), event(2, 1, 750, 760, 5), event(2, 1, 750, 800, 6)}},
		"backwards within the crashed session":   {false, []StockEvent{unpublished, event(1, 0, 0, 450, 5), again}},
		"backwards within the next session":      {false, []StockEvent{unpublished, older, event(2, 1, 550, 600, 4), again}},
		"the same twice within the next session": {false, []StockEvent{unpublished, older, older, again}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.right, len((&Subscriber{events: c.events}).Misordered(crash)) == 0)
		})
	}
	assert.NotEmpty(t, (&Subscriber{events: []StockEvent{published, unpublished, older, again}}).Misordered(), "without a crash")
}

// TestKeepLatest: the newest event of each product stays.
func TestKeepLatest(t *testing.T) {
	t.Parallel()
	sub := &Subscriber{events: []StockEvent{{ProductID: "cup", Version: 1}, {ProductID: "mug", Version: 4}, {ProductID: "cup", Version: 2}}}
	sub.KeepLatest()
	assert.ElementsMatch(t, []StockEvent{{ProductID: "cup", Version: 2}, {ProductID: "mug", Version: 4}}, sub.Events())
}

// TestDecodeAnswer: what is a definite answer, and what is an attempt without one.
func TestDecodeAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want *AttemptError
	}{
		"data":        {`{"data":{"answer":{"replayed":true}}}`, nil},
		"unavailable": {`{"data":null,"errors":[{"message":"later","extensions":{"code":"UNAVAILABLE","retryAfterMs":1500}}]}`, &AttemptError{Code: Unavailable, Message: "later", RetryAfter: 1500 * time.Millisecond}},
		"truncated":   {`{"data":{"ans`, &AttemptError{Code: NoAnswer, Message: `HTTP 200: {"data":{"ans`, Truncated: true}},
	} {
		var data WriteData
		err := decodeAnswer(200, []byte(c.body), &data)
		if c.want == nil {
			assert.NoError(t, err, name)
			assert.True(t, data.Answer.Replayed, name)
			continue
		}
		assert.Equal(t, error(c.want), err, name)
	}
}

// TestAttempts: codes that a shop in trouble may answer with are not unexpected.
func TestAttempts(t *testing.T) {
	t.Parallel()
	var a Attempts
	a.add(&AttemptError{Code: Unavailable, Message: "later"})
	a.add(&AttemptError{Code: NoAnswer, Message: "half", Truncated: true})
	a.add(errors.New("decode the answer"))
	assert.Empty(t, a.Unexpected())
	assert.Equal(t, 2, a.Count(NoAnswer))
	assert.Equal(t, []string{"half"}, a.Truncated())
	a.add(&AttemptError{Code: "INTERNAL", Message: "oh"})
	assert.Equal(t, []string{"INTERNAL: oh"}, a.Unexpected())
	assert.Equal(t, "1 INTERNAL (oh), 2 NO_ANSWER (half), 1 UNAVAILABLE (later)", a.String())
}

// TestDeliveries: a change is delivered with its version or a newer one, and counted when it is not.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	c := &Changes{list: []change{{"cup", 1, at(0)}, {"cup", 2, at(100)}, {"cup", 3, at(200)}, {"cup", 4, at(5000)}}}
	sub := &Subscriber{events: []StockEvent{
		{ProductID: "cup", Version: 2, At: at(110), StateCounts: model.StateCounts{Available: 1}}, {ProductID: "mug", Version: 9, At: at(111)},
	}}
	d := c.Deliveries(began, at(1000), []*Subscriber{sub})
	assert.Equal(t, Deliveries{Count: 2, P50: 110 * time.Millisecond, P99: 110 * time.Millisecond, Usual: 110 * time.Millisecond, Missing: 1}, d)
}

// TestRepeatable: what a repeat of a key must say again, and when a key was free.
func TestRepeatable(t *testing.T) {
	t.Parallel()
	short, over := WriteError{Typename: insufficient, Available: 3}, WriteError{Typename: notActive, State: model.StateExpired}
	first := WriteAnswer{}
	assert.True(t, first.Done())
	assert.Equal(t, first.Repeatable(), WriteAnswer{Replayed: true, Errors: []WriteError{over}}.Repeatable(), "its time is over by now")
	assert.True(t, WriteAnswer{Replayed: true, Errors: []WriteError{over}}.Done())
	assert.False(t, WriteAnswer{Errors: []WriteError{over}}.Done(), "a commit that came too late")
	assert.NotEqual(t, first.Repeatable(), WriteAnswer{Errors: []WriteError{over}}.Repeatable())
	assert.NotEqual(t, first.Repeatable(), WriteAnswer{Replayed: true, Errors: []WriteError{short}}.Repeatable())
	late := WriteAnswer{Errors: []WriteError{{Typename: "IdempotencyError", Code: "NOT_AFTER_PASSED"}}}
	assert.True(t, late.TooLate())
	assert.False(t, late.Done())
	assert.False(t, WriteAnswer{Errors: []WriteError{short}}.TooLate())
}
