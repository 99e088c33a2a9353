// Package stockfile reads stock from files: the opening stock and the invoices of a real shop's year (the UCI Online
// Retail data set), and the demo catalogue that is embedded in the binary.
//
// [ReadOnlineRetail] works out which opening stock lets a year of sales happen. [ReadInvoices] hands out the same file
// invoice by invoice, for whoever wants to live through that year again. [Demo] is a small shop for a first look.
//
// May import: onhand/models and the standard library.
//
// Invariants: a file is read as a stream, so memory grows with its products and invoice numbers, never with its lines,
// and both have a named bound. A broken file gives an error that names the lines and nothing else; rows that were fine
// are not handed out beside it. Product ids are case-sensitive: 15056bl and 15056BL are two products.
//
// There is no server behind this package: nothing here can be down.
package stockfile
