// Package stockfile reads and writes stock in files, and contains the demo shop.
//
// Formats:
//   - shop, shop-17: the inventory CSV of the largest hosted shop system, in its
//     form of 19 columns and in the older one of 17.
//   - csv, jsonl: Onhand's own, with every state of a level.
//   - online-retail: the invoices of a real shop's year (UCI Online Retail data
//     set). It can only be read.
//
// Terms:
//   - Row: the quantities of one product at one location, as models.StockRow. It
//     has the quantities when the file was made (Now) and those to set (New).
//   - Compared file: one with columns for both, such as available and
//     available_new. An empty new column changes nothing, so that a file that is
//     exported and imported changes nothing. In a file without new columns the
//     quantities are those to set.
//   - Variant: handle and options, which name a product of a shop's file without
//     an SKU of its own; see [Variant]. Locations are named by name there; see
//     [LocationIndex].
//   - Opening stock: what a shop must start with so that the invoices of the year
//     can be filled; see [ReadOnlineRetail]. [ReadInvoices] reads the same file
//     invoice by invoice.
//
// May import: models, delimited, the standard library.
//
// Invariants:
//   - The formats have one table of spellings for numbers, ids and titles
//     (cell.go). An id is compared as it is; nothing is dropped from it.
//   - Every line of a file, except the header and blank lines, is in exactly one row.
//     A cell in quotes that has swallowed rows is a problem of each of them.
//   - Files are streamed. The memory for a stock file is constant. The memory for
//     a file of invoices grows with its products and invoice numbers, and both are
//     bounded.
//   - A row that cannot be parsed has a Problem, and the next row is read. An
//     invalid line of invoices is an error that names the line, and then there is
//     no result.
//   - Product ids are case-sensitive: 15056bl and 15056BL are two products.
//
// The package uses no server.
package stockfile
