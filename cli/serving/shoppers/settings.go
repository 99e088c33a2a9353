package shoppers

import (
	"fmt"
	"strconv"
)

const (
	// shoppersMax bounds the shoppers of one instance.
	shoppersMax = 100
	// shoppersDefault is how many there are by default in the demo shop of a server without
	// settings: some two writes a second.
	shoppersDefault = 8
)

// ShopperSettings say how many shoppers there are.
type ShopperSettings struct {
	SimulatedShoppers Number `name:"simulated-shoppers" env:"SIMULATED_SHOPPERS" default:"auto" help:"How many simulated shoppers reserve, order and return in the demo shop, at most 100; 0 for none. auto: 8 where no DATABASE_URL and no bearer tokens are configured, else 0. No other database than the demo shop has any." more:"[what they do](demo.md)"`
	ShopperToken      string `name:"simulated-shoppers-token" env:"SIMULATED_SHOPPERS_TOKEN" placeholder:"TOKEN" help:"The bearer token of simulated shoppers, where tokens are configured: with the scopes write:orders, read:orders, write:inventory and read:inventory. A flag is visible to other users of the machine: use the variable or the file."`
	ShopperTokenFile  string `name:"simulated-shoppers-token-file" env:"SIMULATED_SHOPPERS_TOKEN_FILE" placeholder:"PATH" help:"A file with the value of SIMULATED_SHOPPERS_TOKEN."`
}

// Number is a number of shoppers; negative for auto.
type Number int

const auto Number = -1

// UnmarshalText parses a number, or auto.
func (n *Number) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*n = auto
		return nil
	}
	count, err := strconv.Atoi(string(text))
	if err != nil || count < 0 || count > shoppersMax {
		return fmt.Errorf("%q is not auto, or a number from 0 to %d", text, shoppersMax)
	}
	*n = Number(count)
	return nil
}

// Count returns how many shoppers there are. unconfigured says that neither a database nor
// bearer tokens are configured.
//
// Errors: tokens are configured, and none is given.
func (s *ShopperSettings) Count(unconfigured, tokensConfigured bool) (int, error) {
	switch {
	case s.SimulatedShoppers == auto && unconfigured:
		return shoppersDefault, nil
	case s.SimulatedShoppers <= 0:
		return 0, nil
	case tokensConfigured && s.ShopperToken == "":
		return 0, fmt.Errorf("simulated-shoppers: bearer tokens are configured, so shoppers need one too: set SIMULATED_SHOPPERS_TOKEN, or SIMULATED_SHOPPERS=0")
	}
	return int(s.SimulatedShoppers), nil
}
