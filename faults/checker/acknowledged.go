package checker

import (
	"context"
	"fmt"
	"maps"

	"onhand/faults/chance"
	"onhand/faults/load"
	"onhand/faults/model"
)

const (
	// repeatsMax bounds the keys that are repeated; they are drawn at random.
	repeatsMax = 150
	// longAgo is a notAfter that has passed by every clock, so that no repeat takes effect.
	longAgo = "2000-01-01T00:00:00Z"
)

// CheckAcknowledged is I3: every acknowledged key, repeated at any instance, gives the same answer as a replay where the
// write was done, and is free where it was refused.
func (c *Checker) CheckAcknowledged() {
	c.T.Helper()
	writes, dice := c.Target.History.Acknowledged(), chance.New(c.T, "acknowledged")
	dice.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
	c.Report("I3", c.RepeatFaults(writes[:min(len(writes), repeatsMax)]))
}

// RepeatFaults repeats acknowledged writes, too late for a free key, and lists those that are answered otherwise.
func (c *Checker) RepeatFaults(writes []model.Acknowledged) (wrong []string) {
	ctx, cancel := context.WithTimeout(context.Background(), load.RetryLimit)
	defer cancel()
	serving := c.serving()
	for n, w := range writes {
		var data load.WriteData
		i, input := serving[n%len(serving)], maps.Clone(w.Input)
		input["notAfter"] = longAgo
		err := c.Target.Client.Ask(ctx, i.URL(), w.Document, map[string]any{"input": input}, &data)
		switch answer := data.Answer; {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("key %s, repeated at %s: %v", w.Input["idempotencyKey"], i.Name, err))
		case !w.Done:
			if !answer.TooLate() {
				wrong = append(wrong, fmt.Sprintf("key %s was refused, and %s answered its repeat with %s (replayed %t)",
					w.Input["idempotencyKey"], i.Name, answer.Repeatable(), answer.Replayed))
			}
		case !answer.Replayed || answer.Repeatable() != w.Answer:
			wrong = append(wrong, fmt.Sprintf("key %s: %s answered %s (replayed %t), and the first answer was %s",
				w.Input["idempotencyKey"], i.Name, answer.Repeatable(), answer.Replayed, w.Answer))
		}
	}
	return wrong
}
