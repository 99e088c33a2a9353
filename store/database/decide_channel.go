package database

import "onhand/models"

// channel is a channel with its locations as a set.
type channel struct {
	models.Channel
	members map[string]bool
}

// member is a channel and one of its locations; empty where it has none.
type member struct {
	models.Channel
	location string
}

func (v *view) addMember(m member) {
	c := v.channels[m.ChannelID]
	if c == nil {
		c = &channel{Channel: m.Channel, members: map[string]bool{}}
		v.channels[m.ChannelID] = c
	}
	if m.location != "" {
		c.LocationIDs = append(c.LocationIDs, m.location)
		c.members[m.location] = true
	}
}
