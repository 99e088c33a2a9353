// Package stockbinary encodes a stock in the compact form that Redis keeps, and
// decodes it again.
//
// Terms:
//   - Visible fields: product_id, quantity, version and epoch, as texts. Other
//     services read them in the hash and in the message.
//   - Compact form: everything else of a stock, in the binary field "stock".
//     [Encode] documents its layout.
//   - Message: a JSON object with the visible fields and the compact form in base64.
//     Redis publishes it when a stock has changed.
//
// The compact form of a product at one location takes some 35 bytes, beside 250 of
// the same fields as JSON. It is decoded without reflection, into three allocations.
//
// Invariants:
//   - Encoding cannot fail. Decoding never panics, whatever the input.
//   - A stock that decoding accepts is encoded and decoded again without a change.
//   - The compact form ends with a checksum over itself and the visible fields. If
//     another program has changed one of them, decoding fails.
//   - The first byte is the format. Decoding refuses a format that it does not know.
//   - Input is bounded before memory is allocated for it ([BytesMax], [LevelsMax]).
//
// May import: models, models/channel and the standard library.
//
// The package uses no server.
package stockbinary
