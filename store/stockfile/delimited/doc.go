// Package delimited reads the text of files that other programs write: lines, and
// the records of CSV.
//
// Terms:
//   - Line: one line of the file as its editor counts them; the first is 1.
//   - Record: the cells of one line, or of several lines where a cell in quotes
//     has line breaks.
//
// What is read alike: gzip; UTF-8 with and without a byte order mark, and UTF-16
// with one; lines that end with LF, CRLF or CR; a first line such as sep=;
//
// What is refused, with what to do: workbooks, archives and other files that are
// not text. A line that is not valid text has a Problem.
//
// Invariants:
//   - Nothing is replaced: what cannot be read is a Problem.
//   - Every line is in exactly one record. After a record that cannot be read,
//     reading goes on at the next line.
//   - Memory is bounded: a line by LineSizeMax, a record by that and RecordLinesMax.
//
// May import: the standard library. The package has no server.
package delimited
