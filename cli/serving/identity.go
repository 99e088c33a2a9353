package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/graph/tokens"
)

// IdentitySettings say how bearer tokens are checked, and what callers without one may do.
type IdentitySettings struct {
	AuthSecret         string `name:"auth-secret" env:"AUTH_SECRET" placeholder:"TEXT" help:"The secret that signs bearer tokens with HS256, 32 bytes at least, as raw text. A flag is visible to other users of the machine: use the variable or the file." more:"[tokens](security.md#tokens)"`
	AuthSecretFile     string `name:"auth-secret-file" env:"AUTH_SECRET_FILE" placeholder:"PATH" help:"A file with the value of AUTH_SECRET; a line break at its end does not count."`
	AuthJWKSURL        string `name:"auth-jwks-url" env:"AUTH_JWKS_URL" placeholder:"URL" help:"https://… of the issuer's public keys, for bearer tokens with RS256, ES256 or EdDSA."`
	AuthJWKSURLFile    string `name:"auth-jwks-url-file" env:"AUTH_JWKS_URL_FILE" placeholder:"PATH" help:"A file with the value of AUTH_JWKS_URL."`
	AuthIssuer         string `name:"auth-issuer" env:"AUTH_ISSUER" placeholder:"TEXT" help:"The issuer that every bearer token must name."`
	AuthIssuerFile     string `name:"auth-issuer-file" env:"AUTH_ISSUER_FILE" placeholder:"PATH" help:"A file with the value of AUTH_ISSUER."`
	AuthAudience       string `name:"auth-audience" env:"AUTH_AUDIENCE" placeholder:"TEXT" help:"The audience that every bearer token must name."`
	AuthAudienceFile   string `name:"auth-audience-file" env:"AUTH_AUDIENCE_FILE" placeholder:"PATH" help:"A file with the value of AUTH_AUDIENCE."`
	AuthRevokedFile    string `name:"auth-revoked-file" env:"AUTH_REVOKED_FILE" placeholder:"PATH" help:"A file with the ids of revoked bearer tokens, one in each line; a change counts within two seconds."`
	ReadAnonymously    string `name:"read-anonymously" env:"READ_ANONYMOUSLY" enum:"on,off" default:"on" help:"on, or off: reading stock needs a bearer token. Without tokens configured it has no effect."`
	ReserveAnonymously string `name:"reserve-anonymously" env:"RESERVE_ANONYMOUSLY" enum:"on,off" default:"on" help:"on, or off: reserving needs a bearer token. Without tokens configured it has no effect."`
}

// settingBytesMax bounds a setting that is read from a file.
const settingBytesMax = 64 << 10

// TokensConfigured reports whether bearer tokens are checked.
func (s *IdentitySettings) TokensConfigured() bool {
	return s.AuthSecret != "" || s.AuthSecretFile != "" || s.AuthJWKSURL != "" || s.AuthJWKSURLFile != ""
}

func (s *IdentitySettings) check() error {
	config, err := s.tokens()
	if err != nil {
		return err
	}
	if s.TokensConfigured() {
		return config.Check()
	}
	if config.Issuer != "" || config.Audience != "" || config.RevokedFile != "" {
		return errors.New("auth-issuer, auth-audience and auth-revoked-file need auth-secret or auth-jwks-url")
	}
	return nil
}

// tokens reads the settings, those in files too.
func (s *IdentitySettings) tokens() (config tokens.VerifierConfig, err error) {
	config.RevokedFile = s.AuthRevokedFile
	var secret string
	for _, setting := range []struct {
		name, value, file string
		to                *string
	}{
		{"auth-secret", s.AuthSecret, s.AuthSecretFile, &secret},
		{"auth-jwks-url", s.AuthJWKSURL, s.AuthJWKSURLFile, &config.KeySetURL},
		{"auth-issuer", s.AuthIssuer, s.AuthIssuerFile, &config.Issuer},
		{"auth-audience", s.AuthAudience, s.AuthAudienceFile, &config.Audience},
	} {
		if *setting.to, err = ValueOrFile(setting.name, setting.value, setting.file); err != nil {
			if setting.to == &secret && setting.value == "" {
				err = fmt.Errorf("%w; %s", err, tokens.SecretHint)
			}
			return config, err
		}
	}
	if s.AuthSecret != "" || s.AuthSecretFile != "" {
		config.Secret = []byte(secret)
	}
	return config, nil
}

// ValueOrFile returns a setting, or the content of the file that has it.
func ValueOrFile(name, value, file string) (string, error) {
	switch {
	case file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %s-file do not go together", name, name)
	}
	opened, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s-file: %w", name, err)
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, settingBytesMax+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s-file: %w", name, err)
	case len(content) > settingBytesMax:
		return "", fmt.Errorf("%s-file is larger than %d bytes", name, settingBytesMax)
	}
	content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
	if len(content) == 0 {
		return "", fmt.Errorf("%s-file is empty", name)
	}
	return string(content), nil
}

// Tokens says which tokens the server accepts, for a command that makes one.
//
// Errors: no secret signs tokens.
func (s *IdentitySettings) Tokens() (tokens.VerifierConfig, error) {
	config, err := s.tokens()
	if err == nil && config.Secret == nil {
		err = errors.New("no secret is set; set AUTH_SECRET or AUTH_SECRET_FILE to that of the server")
	}
	return config, err
}

// bearer opens the check of bearer tokens; nil without tokens. The caller closes it. The
// limiter bounds tokens that are not accepted.
func (s *IdentitySettings) bearer(ctx context.Context, limiter *ratelimit.Limiter, log *slog.Logger) (bearer *guard.Bearer, closeBearer func(), err error) {
	if !s.TokensConfigured() {
		return nil, func() {}, nil
	}
	config, err := s.tokens()
	if err != nil {
		return nil, nil, err
	}
	config.Logger = log
	if limiter != nil {
		config.Admit, config.OnRefused = limiter.AdmitToken, limiter.RefusedToken
	}
	verifier, err := tokens.Open(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	bearer = &guard.Bearer{Verifier: verifier}
	if s.ReadAnonymously == off {
		bearer.TokenRequired = append(bearer.TokenRequired, guard.AnonymousReading)
	}
	if s.ReserveAnonymously == off {
		bearer.TokenRequired = append(bearer.TokenRequired, guard.AnonymousReserving)
	}
	return bearer, verifier.Close, nil
}
