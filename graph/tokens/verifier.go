package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"

	"onhand/graph/guard"
	"onhand/models"
)

const (
	// SecretBytesMin is the shortest secret: as long as what HS256 computes.
	SecretBytesMin = 32
	// SecretHint ends a message about a secret that is missing or too short.
	SecretHint = "openssl rand -hex 32 makes a secret"
	// Leeway is how much the clocks of issuer and server may differ.
	Leeway = 30 * time.Second
	// tokenBytesMax is the largest token. Those of large issuers have 2 kB.
	tokenBytesMax = 8 << 10
	// acceptedBytesMax bounds the memory of tokens that were accepted already: some 10,000.
	// Finding one takes 0.3 µs; verifying one with HS256 12 µs, a third of a query.
	acceptedBytesMax = 16 << 20
	// acceptedBytes is what an entry takes beside the token.
	acceptedBytes = 512
	// acceptedFor is how long a token is accepted without checking its signature again:
	// the longest use of a key that the issuer has withdrawn.
	acceptedFor = time.Minute
	// checkInterval is how often the verifier looks at the file of revoked tokens.
	checkInterval = time.Second
)

// VerifierConfig says which tokens are accepted. At least one of Secret and KeySetURL is set.
type VerifierConfig struct {
	Secret    []byte // of HS256; nil for none
	KeySetURL string // of the issuer's keys; empty for none
	// Issuer and Audience are required of each token, unless they are empty.
	Issuer, Audience string
	// RevokedFile has the ids of revoked tokens, one in each line; empty for none.
	RevokedFile string
	// Admit is called before a token is verified that was not accepted already, and may
	// refuse to; nil for no call. It must not wait.
	Admit func(ctx context.Context) error
	// OnRefused is called for each token that was verified and not accepted; nil for no call.
	OnRefused func(ctx context.Context)
	Logger    *slog.Logger

	now func() time.Time // of tests
}

// Verifier checks tokens. It is safe for concurrent use. Make it with Open.
type Verifier struct {
	config   VerifierConfig
	secret   []byte
	keys     *keySet      // nil for none
	revoked  *revokedList // nil for none
	parser   *jwt.Parser
	accepted *otter.Cache[string, acceptedToken]
	now      func() time.Time
	stop     context.CancelFunc
	running  sync.WaitGroup
}

var _ guard.TokenVerifier = (*Verifier)(nil)

// acceptedToken is a token that was checked.
type acceptedToken struct {
	caller *guard.Identity
	until  time.Time
}

// Check refuses a configuration that can never work.
func (c *VerifierConfig) Check() error {
	switch {
	case c.Secret == nil && c.KeySetURL == "":
		return errors.New("tokens need a secret or the URL of a key set")
	case c.Secret != nil && len(c.Secret) < SecretBytesMin:
		return fmt.Errorf("the secret of tokens has %d bytes; it needs %d at least; %s", len(c.Secret), SecretBytesMin, SecretHint)
	case c.KeySetURL != "":
		return checkKeySetURL(c.KeySetURL)
	}
	return nil
}

// Open returns a Verifier. It reads the file of revoked tokens, and tries to fetch the key
// set: without it the verifier starts all the same, and tries again.
func Open(ctx context.Context, config VerifierConfig) (*Verifier, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	v := &Verifier{config: config, secret: config.Secret, now: config.now}
	if v.now == nil {
		v.now = time.Now
	}
	v.parser = jwt.NewParser(v.options(config)...)
	v.accepted = otter.Must(&otter.Options[string, acceptedToken]{
		MaximumWeight: acceptedBytesMax,
		Weigher:       func(token string, _ acceptedToken) uint32 { return uint32(len(token) + acceptedBytes) },
	})
	if config.RevokedFile != "" {
		v.revoked = &revokedList{path: config.RevokedFile, log: config.Logger}
		if err := v.revoked.read(v.now()); err != nil {
			return nil, fmt.Errorf("the list of revoked tokens: %w", err)
		}
	}
	ctx, v.stop = context.WithCancel(context.WithoutCancel(ctx))
	if config.KeySetURL != "" {
		v.keys = newKeySet(ctx, config.KeySetURL, config.Logger)
		v.keys.refetch(ctx)
	}
	v.running.Go(func() { v.run(ctx) })
	return v, nil
}

func (v *Verifier) options(config VerifierConfig) []jwt.ParserOption {
	var algorithms []string
	if config.Secret != nil {
		algorithms = append(algorithms, jwt.SigningMethodHS256.Alg())
	}
	if config.KeySetURL != "" {
		algorithms = append(algorithms, jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg())
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(Leeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(v.now),
	}
	if config.Issuer != "" {
		options = append(options, jwt.WithIssuer(config.Issuer))
	}
	if config.Audience != "" {
		options = append(options, jwt.WithAudience(config.Audience))
	}
	return options
}

// Close ends the background work.
func (v *Verifier) Close() {
	v.stop()
	v.running.Wait()
	if v.keys != nil {
		v.keys.fetches.Wait()
	}
	v.accepted.StopAllGoroutines()
}

// run reads the file of revoked tokens and the key set again, when it is time.
func (v *Verifier) run(ctx context.Context) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if v.revoked != nil {
			v.revoked.refresh(v.now())
		}
		if v.keys != nil && v.keys.due() {
			v.keys.refetch(ctx)
		}
	}
}

// Verify implements guard.TokenVerifier.
func (v *Verifier) Verify(ctx context.Context, token string) (*guard.Identity, error) {
	if known, ok := v.accepted.GetIfPresent(token); ok && v.now().Before(known.until) {
		return known.caller, v.refuseRevoked(known.caller)
	}
	if len(token) > tokenBytesMax {
		return nil, refused("larger than 8 KiB")
	}
	if v.config.Admit != nil {
		if err := v.config.Admit(ctx); err != nil {
			return nil, err
		}
	}
	caller, err := v.verify(ctx, token)
	if err != nil {
		if v.config.OnRefused != nil && models.CodeOf(err) == models.CodeUnauthenticated {
			v.config.OnRefused(ctx)
		}
		return nil, err
	}
	until := v.now().Add(acceptedFor)
	if caller.Expires.Before(until) {
		until = caller.Expires
	}
	v.accepted.Set(strings.Clone(token), acceptedToken{caller, until})
	return caller, v.refuseRevoked(caller)
}

// verify checks a token by its signature and its claims.
func (v *Verifier) verify(ctx context.Context, token string) (*guard.Identity, error) {
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keyFor(ctx)); err != nil {
		return nil, reasonOf(err)
	}
	return c.identity()
}

// OnRevoked implements guard.TokenVerifier.
func (v *Verifier) OnRevoked(id *guard.Identity, end func()) (stop func()) {
	if v.revoked == nil || id.TokenID == "" {
		return func() {}
	}
	return v.revoked.watch(id.TokenID, end)
}

func (v *Verifier) refuseRevoked(caller *guard.Identity) error {
	if v.revoked != nil && v.revoked.has(caller.TokenID) {
		return refused("revoked")
	}
	return nil
}

// errCritical refuses the header crit, whose extensions must be understood (RFC 7515).
var errCritical = errors.New("the token has critical extensions")

// keyFor finds the key that a token names, for its algorithm.
func (v *Verifier) keyFor(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if _, has := token.Header["crit"]; has {
			return nil, errCritical
		}
		if token.Method == jwt.SigningMethodHS256 {
			return v.secret, nil
		}
		return v.keys.key(ctx, token)
	}
}

// claims are those of a token that matter here.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

// identity returns the caller. A scope that is not known is left out.
func (c *claims) identity() (*guard.Identity, error) {
	if c.Subject == "" {
		return nil, refused("without a subject")
	}
	if models.CheckText(c.Subject, models.TextLengthMax) != "" || len(c.ID) > tokenIDBytesMax {
		return nil, refused("not valid")
	}
	caller := &guard.Identity{Subject: c.Subject, TokenID: c.ID, Expires: c.ExpiresAt.Add(Leeway)}
	for name := range strings.FieldsSeq(c.Scope) {
		scope := guard.Scope(name)
		if slices.Contains(guard.Scopes, scope) && !slices.Contains(caller.Scopes, scope) {
			caller.Scopes = append(caller.Scopes, scope)
		}
	}
	return caller, nil
}

// refused is the fault of a token that is not accepted.
func refused(why string) *models.Fault {
	return &models.Fault{Code: models.CodeUnauthenticated, Message: "the token is " + why}
}

// reasonOf returns the fault of an error of golang-jwt. It tells apart only what the
// signature vouches for.
func reasonOf(err error) error {
	var fault *models.Fault
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.Is(err, jwt.ErrTokenExpired):
		return refused("expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refused("not valid yet")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refused("for another audience")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return refused("of another issuer")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refused("without a claim that it needs")
	}
	return refused("not valid")
}
