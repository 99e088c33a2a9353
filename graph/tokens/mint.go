package tokens

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onhand/graph/guard"
	"onhand/models"
)

// NewToken is what a new token says.
type NewToken struct {
	Subject          string
	Scopes           []guard.Scope
	Issuer, Audience string // left out where empty
	Lifetime         time.Duration
}

// Mint makes a token, signed with a secret by HS256. It has a random id.
func Mint(secret []byte, token NewToken, now time.Time) (string, error) {
	switch {
	case len(secret) < SecretBytesMin:
		return "", fmt.Errorf("the secret of tokens has %d bytes; it needs %d at least; %s", len(secret), SecretBytesMin, SecretHint)
	case token.Subject == "" || models.CheckText(token.Subject, models.TextLengthMax) != "":
		return "", fmt.Errorf("the subject must have 1 to %d characters", models.TextLengthMax)
	case token.Lifetime < time.Second:
		return "", fmt.Errorf("a token must be valid for a second at least")
	}
	names := make([]string, len(token.Scopes))
	for i, scope := range token.Scopes {
		if !slices.Contains(guard.Scopes, scope) {
			return "", fmt.Errorf("there is no scope %q; there are %s", scope, joinScopes(guard.Scopes))
		}
		names[i] = string(scope)
	}
	c := claims{Scope: strings.Join(names, " "), RegisteredClaims: jwt.RegisteredClaims{
		Subject: token.Subject, Issuer: token.Issuer, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(token.Lifetime)),
	}}
	if token.Audience != "" {
		c.Audience = jwt.ClaimStrings{token.Audience}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
}

func joinScopes(scopes []guard.Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ", ")
}
