package shoppers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Shoppers are on by default for a server without settings only. Where tokens are
// configured they need one.
func TestCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text                 string
		unconfigured, tokens bool
		token                string
		want                 int
		refused              bool
	}{
		{text: "auto", unconfigured: true, want: shoppersDefault},
		{text: "auto"},
		{text: "0", unconfigured: true},
		{text: "3", want: 3},
		{text: "3", tokens: true, refused: true},
		{text: "3", tokens: true, token: "t", want: 3},
		{text: "auto", tokens: true},
	} {
		settings := ShopperSettings{ShopperToken: test.token}
		require.NoError(t, settings.SimulatedShoppers.UnmarshalText([]byte(test.text)))
		got, err := settings.Count(test.unconfigured && !test.tokens, test.tokens)
		require.Equal(t, test.refused, err != nil, test)
		require.Equal(t, test.want, got, test)
	}
	for _, text := range []string{"", "-1", "101", "many", "1.5"} {
		require.ErrorContains(t, new(Number).UnmarshalText([]byte(text)), "auto", text)
	}
}
