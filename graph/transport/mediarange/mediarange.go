package mediarange

import (
	"mime"
	"strconv"
	"strings"
)

// oneRange is one member of an Accept header, such as text/*;q=0.5.
type oneRange struct {
	kind    string
	quality float64 // 0 to 1
}

// Ranges are the members of an Accept header.
type Ranges []oneRange

// Parse reads the Accept header. A member that cannot be read is left out.
func Parse(value string) (ranges Ranges) {
	for part := range strings.SplitSeq(value, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if text, given := parameters["q"]; given {
			if quality, err = strconv.ParseFloat(text, 64); err != nil || !(quality >= 0 && quality <= 1) {
				continue
			}
		}
		ranges = append(ranges, oneRange{kind, quality})
	}
	return ranges
}

// Preference is how much a client wants one media type.
type Preference struct {
	Quality float64 // 0: not at all
	Named   bool    // by itself, not by a wildcard
	at      int     // the place of the range in the header
}

// Preference returns that of a media type. The most specific range decides.
func (l Ranges) Preference(kind string) Preference {
	group, _, _ := strings.Cut(kind, "/")
	for _, pattern := range []string{kind, group + "/*", "*/*"} {
		for at, r := range l {
			if r.kind == pattern {
				return Preference{Quality: r.quality, Named: pattern == kind, at: at}
			}
		}
	}
	return Preference{}
}

// Over reports whether a client wants p rather than other.
func (p Preference) Over(other Preference) bool {
	switch {
	case p.Quality != other.Quality:
		return p.Quality > other.Quality
	case p.Named != other.Named:
		return p.Named
	}
	return p.at < other.at
}
