package nearcache

import (
	"strconv"
	"strings"
)

// versionOf reads product, version and epoch from the beginning of a message as
// stockbinary writes it, without decoding the rest. It returns false for
// anything else.
func versionOf(productID, payload string) (version int64, epoch string, ok bool) {
	rest, ok := strings.CutPrefix(payload, `{"product_id":"`)
	if !ok {
		return 0, "", false
	}
	if rest, ok = strings.CutPrefix(rest, productID); !ok {
		return 0, "", false
	}
	if rest, ok = strings.CutPrefix(rest, `","quantity":`); !ok {
		return 0, "", false
	}
	if _, rest, ok = strings.Cut(rest, `,"version":`); !ok {
		return 0, "", false
	}
	digits, rest, ok := strings.Cut(rest, `,"epoch":"`)
	if !ok {
		return 0, "", false
	}
	version, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, "", false
	}
	epoch, _, ok = strings.Cut(rest, `"`)
	return version, epoch, ok
}
