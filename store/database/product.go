package database

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"onhand/models"
	"onhand/store/database/dialect"
)

// ReadProducts reads one page of products in id order, by key and not by
// offset: a page costs the same wherever it is.
func (d *Database) ReadProducts(ctx context.Context, page models.Page, filter models.ProductFilter) (models.ProductPage, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	backwards := page.Last > 0
	size := max(page.First, page.Last)
	query := filtered(db.Table("products p").Select(dialect.ProductColumns), filter)
	if page.After != "" {
		query = query.Where("p.product_id > ?", page.After)
	}
	if page.Before != "" {
		query = query.Where("p.product_id < ?", page.Before)
	}
	order := "p.product_id"
	if backwards {
		order += " DESC"
	}
	r, err := query.Order(order).Limit(size + 1).Rows()
	if err != nil {
		return models.ProductPage{}, d.Fault(err)
	}
	defer r.Close()
	var found []models.Product
	if err := dialect.Each(r, dialect.ScanProduct, func(p *models.Product) { found = append(found, *p) }); err != nil {
		return models.ProductPage{}, d.Fault(err)
	}
	more := len(found) > size
	found = found[:min(size, len(found))]
	if backwards {
		slices.Reverse(found)
		return models.ProductPage{Products: found, HasPrev: more, HasNext: page.Before != ""}, nil
	}
	return models.ProductPage{Products: found, HasNext: more, HasPrev: page.After != ""}, nil
}

func filtered(query *gorm.DB, filter models.ProductFilter) *gorm.DB {
	if len(filter.IDs) > 0 {
		query = query.Where("p.product_id IN ?", filter.IDs)
	}
	if filter.TitleContains != "" {
		query = query.Where(`lower(p.title) LIKE lower(?) ESCAPE '\'`, "%"+escapeLike(filter.TitleContains)+"%")
	}
	return query
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
