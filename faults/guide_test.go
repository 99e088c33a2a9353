package faults

import "testing"

func TestTheScenarioOfTheGuide(t *testing.T) {
	s := Open(t, Setup{Shoppers: 6, RedisEmptied: true}) // two instances, four products with stock, subscribers on both; Setup says what else
	l := s.Load()                                        // customers reserve, commit, release, extend, read; shoppers read pages
	l.More(500)                                          // wait for so many operations, never for time
	s.Must(s.Redis.Kill())                               // the fault; Outage(func) where something that is due in it may be late
	l.More(500)
	s.Must(s.Redis.Start()) // heal it
	l.More(500)
	l.Stop()              // customers finish what is in flight
	l.CheckUndisturbed(t) // or CheckRetryable: no client was told to give up
	s.Check()             // I1 to I9, I11
}
