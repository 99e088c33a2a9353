package database

import "onhand/models"

// shapedProduct is a product with its shape: a number that grows when its settings
// or the list of its levels change, and stays when only quantities do. The triggers
// count it, whoever writes (migrations/postgres/00005_shape.sql).
type shapedProduct struct {
	models.Product
	shape int64
}
