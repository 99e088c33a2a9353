package decide

import "onhand/models"

// ChannelMembers is a channel with its locations as a set.
type ChannelMembers struct {
	models.Channel
	Members map[string]bool
}

// ChannelMember is a channel with one of its locations; empty where it has none.
type ChannelMember struct {
	models.Channel
	Location string
}

// AddMember keeps a channel and one of its locations that were loaded.
func (u *UnitOfWork) AddMember(m ChannelMember) {
	c := u.Channels[m.ChannelID]
	if c == nil {
		c = &ChannelMembers{Channel: m.Channel, Members: map[string]bool{}}
		u.Channels[m.ChannelID] = c
	}
	if m.Location != "" {
		c.LocationIDs = append(c.LocationIDs, m.Location)
		c.Members[m.Location] = true
	}
}
