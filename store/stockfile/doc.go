// Package stockfile reads and writes stock in files: the inventory CSV of the largest hosted shop system, a CSV and
// JSON lines of our own; the opening stock and the invoices of a real shop's year (the UCI Online Retail data set); and
// the demo catalogue that is embedded in the binary.
//
// [NewReader] hands out a file as models.StockRow, [NewWriter] writes one. A row has two sides: what its writer saw, and
// what he wants there. Files that have columns for both (On hand (current) and On hand (new); available and
// available_new) ask for nothing where the second is empty, so that a file that is exported and imported again changes
// nothing. In files that have but one, written by hand or by another program, it is what shall be there.
//
// A shop's file names a product by its SKU, which is the product id. Where the SKU is empty, or several variants share
// it, the id is made from handle and options; see [Variant]. It names locations by name; see [LocationIndex].
//
// [ReadOnlineRetail] works out which opening stock lets a year of sales happen. [ReadInvoices] hands out the same file
// invoice by invoice, for whoever wants to live through that year again. [Demo] is a small shop for a first look.
//
// May import: onhand/models and the standard library.
//
// Invariants: a file is read and written as a stream. Memory does not grow with a file of stock; with a file of sales it
// grows with its products and invoice numbers, never with its lines, and both have a named bound. A row of stock that
// cannot be understood says so (Problem), and the next one is read; a broken file of sales gives an error that names the
// lines, and nothing beside it. Product ids are case-sensitive: 15056bl and 15056BL are two products.
//
// There is no server behind this package: nothing here can be down.
package stockfile
