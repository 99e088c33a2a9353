package federation

import (
	"encoding/json"
	"strconv"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/ids"
)

// Key is what a representation names.
type Key struct {
	// Object is the entity.
	Object ids.Object
	// None: no entity can have this key.
	None bool
	// Err says what is wrong with the representation; nil for nothing.
	Err error
}

// Live reports whether the entity is found with the current stock of a product.
func (k Key) Live() bool {
	return k.Err == nil && !k.None && (k.Object.Kind == ids.Product || k.Object.Kind == ids.Stock && k.Object.Moment == nil)
}

// Keys reads the representations of one _entities field, which are JSON or literals.
//
// Errors: bad input for more than guard.EntitiesMax.
func Keys(representations []any) ([]Key, error) {
	if len(representations) > guard.EntitiesMax {
		return nil, models.BadInput("at most %d representations at once, not %d", guard.EntitiesMax, len(representations))
	}
	keys := make([]Key, len(representations))
	for i, sent := range representations {
		keys[i] = keyOf(sent)
	}
	return keys, nil
}

func keyOf(sent any) Key {
	fields, _ := sent.(map[string]any)
	name, ok := fields["__typename"].(string)
	if !ok {
		return Key{Err: models.BadInput("a representation is an object with __typename and the fields of a key")}
	}
	switch name {
	case "Product":
		return ownKey(fields, name, "id", ids.Product)
	case "Stock":
		return globalKey(fields, name, ids.Stock)
	case "Reservation":
		return globalKey(fields, name, ids.Reservation)
	case "Location":
		if _, global := fields["id"]; !global && fields["locationId"] != nil {
			return ownKey(fields, name, "locationId", ids.Location)
		}
		return globalKey(fields, name, ids.Location)
	}
	return Key{Err: models.BadInput("this subgraph has no entity of the type %.40q", name)}
}

// ownKey reads a key that is an id of the shop's.
func ownKey(fields map[string]any, name, field string, kind ids.ObjectKind) Key {
	id, ok := text(fields[field])
	if !ok {
		return invalid(name, field)
	}
	if kind == ids.Location {
		return Key{Object: ids.Object{Kind: kind, LocationID: id}, None: ids.Check(id) != ""}
	}
	return Key{Object: ids.Object{Kind: kind, ProductID: id}, None: ids.CheckProduct(id) != ""}
}

// globalKey reads a key that is a global id.
func globalKey(fields map[string]any, name string, kind ids.ObjectKind) Key {
	id, ok := text(fields["id"])
	if !ok {
		return invalid(name, "id")
	}
	object, known := ids.Parse(id)
	return Key{Object: object, None: !known || object.Kind != kind}
}

func invalid(name, field string) Key {
	return Key{Err: models.BadInput("a representation of a %s needs %s, a text or a whole number", name, field)}
}

// text reads an ID: a text or a whole number.
func text(sent any) (id string, ok bool) {
	switch sent := sent.(type) {
	case string:
		return sent, true
	case int64: // of a literal
		return strconv.FormatInt(sent, 10), true
	case json.Number:
		n, err := sent.Int64()
		return strconv.FormatInt(n, 10), err == nil
	}
	return "", false
}
