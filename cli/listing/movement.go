package listing

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"onhand/models"
)

// Movements writes a table with a line for each movement.
func Movements(w io.Writer, movements []*models.StockMovement, names Names) error {
	times, places, changes := column{head: "time"}, column{head: "location"}, column{head: "change"}
	reasons, versions, details := column{head: "reason"}, column{head: "version", right: true}, column{head: "details"}
	for _, m := range movements {
		times.cells = append(times.cells, timeText(m.CreatedAt))
		places.cells = append(places.cells, locationText(names, m.LocationID))
		changes.cells = append(changes.cells, changeText(m))
		reasons.cells = append(reasons.cells, string(m.Reason))
		versions.cells = append(versions.cells, strconv.FormatInt(m.Version, 10))
		details.cells = append(details.cells, detailText(m))
	}
	return writeTable(w, []column{times, places, changes, reasons, versions, details})
}

// changeText lists the states that a movement changed, as an import lists them.
func changeText(m *models.StockMovement) string {
	var parts []string
	for _, c := range m.Changes() {
		name := strings.ToLower(strings.ReplaceAll(string(c.State), "_", " "))
		parts = append(parts, fmt.Sprintf("%s %d -> %d (%+d)", name, c.After-c.Delta, c.After, c.Delta))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// detailText says why, for which document or reservation, and by whom.
func detailText(m *models.StockMovement) string {
	var parts []string
	for _, detail := range []struct{ name, text string }{
		{"", m.Note}, {"reference ", m.Reference}, {"", m.ReservationID}, {"by ", m.Actor},
	} {
		if detail.text != "" {
			parts = append(parts, detail.name+detail.text)
		}
	}
	return strings.Join(parts, "; ")
}

type movementJSON struct {
	MovementID    int64          `json:"movementId"`
	CreatedAt     string         `json:"createdAt"`
	ProductID     string         `json:"productId"`
	Location      placeJSON      `json:"location"`
	Changes       []changeJSON   `json:"changes"`
	After         quantitiesJSON `json:"after"`
	Reason        models.Reason  `json:"reason"`
	Note          *string        `json:"note"`
	Reference     *string        `json:"reference"`
	Actor         *string        `json:"actor"`
	ReservationID *string        `json:"reservationId"`
	Version       int64          `json:"version"`
}

type placeJSON struct {
	LocationID string `json:"locationId"`
	Name       string `json:"name"`
}

type changeJSON struct {
	State models.State `json:"state"`
	Delta int          `json:"delta"`
	After int          `json:"after"`
}

// MovementsJSON writes an array with an object for each movement.
func MovementsJSON(w io.Writer, movements []*models.StockMovement, names Names) error {
	list := make([]movementJSON, len(movements))
	for i, m := range movements {
		list[i] = movementJSON{
			MovementID: m.MovementID, CreatedAt: timeText(m.CreatedAt), ProductID: m.ProductID,
			Location: placeJSON{m.LocationID, names.LocationNamed(m.LocationID).Name}, Changes: []changeJSON{}, After: quantitiesOf(m.After),
			Reason: m.Reason, Note: optional(m.Note), Reference: optional(m.Reference), Actor: optional(m.Actor),
			ReservationID: optional(m.ReservationID), Version: m.Version,
		}
		for _, c := range m.Changes() {
			list[i].Changes = append(list[i].Changes, changeJSON(c))
		}
	}
	return writeJSON(w, list)
}
