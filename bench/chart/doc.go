// Package chart draws line charts as SVG: one line for each series, over sizes from small to large.
//
// An axis whose values spread over more than a factor of 20 is logarithmic. The picture has a background of its own and
// the colours of the reader's theme (prefers-color-scheme), so that it can be read on any page. Series differ by colour
// and by their marker, and have their name at the end of the line. It needs no font, script or other file.
//
// Invariants: the same chart gives the same bytes. Names are escaped.
//
// It imports nothing of Onhand.
package chart
