package decide

import "onhand/models"

// channel is a channel with its locations as a set.
type ChannelMembers struct {
	models.Channel
	Members map[string]bool
}

// member is a channel and one of its locations; empty where it has none.
type ChannelMember struct {
	models.Channel
	Location string
}

func (v *UnitOfWork) AddMember(m ChannelMember) {
	c := v.Channels[m.ChannelID]
	if c == nil {
		c = &ChannelMembers{Channel: m.Channel, Members: map[string]bool{}}
		v.Channels[m.ChannelID] = c
	}
	if m.Location != "" {
		c.LocationIDs = append(c.LocationIDs, m.Location)
		c.Members[m.Location] = true
	}
}
