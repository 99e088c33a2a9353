package decide

import "onhand/models"

// RevisedProduct is a product with its settings revision: a number that grows when
// the product's settings or its list of levels change, and stays when only quantities
// do. Triggers maintain it for every writer.
type RevisedProduct struct {
	models.Product
	SettingsRevision int64
}
