package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"onhand/cli/serving"
	"onhand/graph/guard"
	"onhand/graph/tokens"
)

// tokenLifetimeMax is the longest lifetime of a development token: there is no way to
// renew or to forget it but the list of revoked tokens.
const tokenLifetimeMax = 30 * 24 * time.Hour

type tokenCommand struct {
	Subject string        `arg:"" help:"The subject (sub): a shopper, a service, a person."`
	Scopes  []string      `name:"scope" help:"A scope; several with commas between them or by repeating the flag: read:inventory, write:inventory, read:orders, write:orders, admin. None by default."`
	For     time.Duration `name:"for" default:"1h" help:"How long the token is valid, 720h at most."`

	AuthSecret       string `name:"auth-secret" env:"AUTH_SECRET" placeholder:"TEXT" help:"The server's secret."`
	AuthSecretFile   string `name:"auth-secret-file" env:"AUTH_SECRET_FILE" placeholder:"PATH" help:"A file with it."`
	AuthIssuer       string `name:"auth-issuer" env:"AUTH_ISSUER" placeholder:"TEXT" help:"The issuer that the token names."`
	AuthIssuerFile   string `name:"auth-issuer-file" env:"AUTH_ISSUER_FILE" placeholder:"PATH" help:"A file with it."`
	AuthAudience     string `name:"auth-audience" env:"AUTH_AUDIENCE" placeholder:"TEXT" help:"The audience that the token names."`
	AuthAudienceFile string `name:"auth-audience-file" env:"AUTH_AUDIENCE_FILE" placeholder:"PATH" help:"A file with it."`
}

// Help is the text that onhand token --help adds.
func (*tokenCommand) Help() string {
	return "Makes a bearer token for development, signed with the server's secret (HS256), and prints it. " +
		"In production an issuer makes them; " + tokens.SecretHint + "."
}

// Run prints a token.
func (c *tokenCommand) Run(stdout io.Writer) error {
	if c.For > tokenLifetimeMax {
		return fmt.Errorf("a token for %s? at most %s", c.For, tokenLifetimeMax)
	}
	identity := serving.IdentitySettings{
		AuthSecret: c.AuthSecret, AuthSecretFile: c.AuthSecretFile, AuthIssuer: c.AuthIssuer, AuthIssuerFile: c.AuthIssuerFile,
		AuthAudience: c.AuthAudience, AuthAudienceFile: c.AuthAudienceFile,
	}
	config, err := identity.Tokens()
	if err != nil {
		return err
	}
	token := tokens.NewToken{Subject: c.Subject, Issuer: config.Issuer, Audience: config.Audience, Lifetime: c.For}
	for _, scope := range c.Scopes {
		for name := range strings.FieldsSeq(scope) {
			token.Scopes = append(token.Scopes, guard.Scope(name))
		}
	}
	text, err := tokens.Mint(config.Secret, token, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, text)
	return nil
}
