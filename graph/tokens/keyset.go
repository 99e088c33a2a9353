package tokens

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"onhand/models"
)

const (
	// refetchInterval is how often the key set is fetched: the longest use of a key that
	// the issuer has withdrawn, with acceptedFor.
	refetchInterval = 5 * time.Minute
	// refetchIntervalMin is the shortest time between two fetches, also after a failure.
	refetchIntervalMin = 5 * time.Second
	// fetchTimeout bounds one fetch, and the time that a request waits for it.
	fetchTimeout = 5 * time.Second
	// keySetBytesMax and keysMax bound a key set. Those of large issuers have ten keys.
	keySetBytesMax = 1 << 20
	keysMax        = 100
	// rsaBitsMin is the shortest RSA key, as RFC 7518 says; rsaBitsMax bounds the work of
	// one signature.
	rsaBitsMin, rsaBitsMax = 2048, 8192
)

// keySet is the issuer's keys. It is fetched again from time to time, and when a token
// names a key that it lacks.
type keySet struct {
	url     string
	log     *slog.Logger
	client  *http.Client
	ctx     context.Context // of fetches
	current atomic.Pointer[publicKeys]
	fetches sync.WaitGroup

	mu       sync.Mutex
	fetching chan struct{} // closed after the fetch in flight; nil where there is none
	beganAt  time.Time     // the last fetch
}

// publicKeys are the usable keys of one fetch.
type publicKeys struct {
	keyfunc.Keyfunc
	ids map[string]struct{}
}

// checkKeySetURL refuses a URL whose answer others could change.
func checkKeySetURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("the URL of the key set is not valid")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the URL of the key set must begin with https:// (http:// is for this machine only)")
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func newKeySet(ctx context.Context, url string, log *slog.Logger) *keySet {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{
		Transport: transport, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &keySet{url: url, log: log, client: client, ctx: ctx}
}

// errKeysUnknown refuses all tokens until the key set was fetched once.
var errKeysUnknown = models.Unavailable("the keys of the tokens cannot be fetched; try again", nil)

// key returns the key that verifies a token. It fetches the key set for a key that it
// lacks.
func (k *keySet) key(ctx context.Context, token *jwt.Token) (any, error) {
	keys := k.current.Load()
	if keys == nil || !keys.has(token) {
		k.refetch(ctx)
		keys = k.current.Load()
	}
	if keys == nil {
		return nil, errKeysUnknown
	}
	if !keys.has(token) {
		return nil, jwkset.ErrKeyNotFound
	}
	return keys.KeyfuncCtx(ctx)(token)
}

// has reports whether there is the key that a token names. A token that names none needs
// a set of one key, so that no token is verified with many.
func (k *publicKeys) has(token *jwt.Token) bool {
	id, named := token.Header["kid"]
	if !named {
		return len(k.ids) == 1
	}
	text, _ := id.(string)
	_, has := k.ids[text]
	return has
}

// due reports whether the key set should be fetched again.
func (k *keySet) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current.Load() == nil || time.Since(k.beganAt) >= refetchInterval
}

// refetch waits for a fetch that began after the last refetchIntervalMin. It begins one
// where there is none.
func (k *keySet) refetch(ctx context.Context) {
	k.mu.Lock()
	fetching := k.fetching
	if fetching == nil {
		if time.Since(k.beganAt) < refetchIntervalMin {
			k.mu.Unlock()
			return
		}
		fetching = make(chan struct{})
		k.fetching, k.beganAt = fetching, time.Now()
		k.fetches.Go(func() { k.fetch(fetching) })
	}
	k.mu.Unlock()
	select {
	case <-fetching:
	case <-ctx.Done():
	}
}

// fetch fetches the key set. After a failure the keys before stay in use.
func (k *keySet) fetch(done chan struct{}) {
	keys, err := k.get()
	if err == nil {
		k.current.Store(keys)
	} else if k.ctx.Err() == nil {
		k.log.Warn("the key set of the tokens could not be fetched", "error", err)
	}
	k.mu.Lock()
	k.fetching = nil
	k.mu.Unlock()
	close(done)
}

func (k *keySet) get() (*publicKeys, error) {
	request, err := http.NewRequestWithContext(k.ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, keySetBytesMax+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > keySetBytesMax:
		return nil, errors.New("the key set is larger than 1 MiB")
	}
	return parseKeySet(body)
}

// parseKeySet returns the keys of a set that can verify tokens, and leaves out others.
func parseKeySet(body []byte) (*publicKeys, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the key set is not valid: %w", err)
	}
	if len(set.Keys) > keysMax {
		return nil, fmt.Errorf("the key set has %d keys; at most %d", len(set.Keys), keysMax)
	}
	storage := jwkset.NewMemoryStorage()
	ids := map[string]struct{}{}
	for _, written := range set.Keys {
		key, err := jwkset.NewJWKFromMarshal(written, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
		if err != nil || !verifies(key) {
			continue
		}
		if err := storage.KeyWrite(context.Background(), key); err != nil {
			return nil, err
		}
		ids[written.KID] = struct{}{}
	}
	if len(ids) == 0 {
		return nil, errors.New("the key set has no key for RS256, ES256 or EdDSA")
	}
	keys, err := keyfunc.New(keyfunc.Options{Storage: storage})
	return &publicKeys{Keyfunc: keys, ids: ids}, err
}

// verifies reports whether a key is a public one, for signatures, of a kind that is
// accepted.
func verifies(key jwkset.JWK) bool {
	if use := key.Marshal().USE; use != "" && use != jwkset.UseSig {
		return false
	}
	switch key := key.Key().(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= rsaBitsMin && key.N.BitLen() <= rsaBitsMax
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	}
	return false
}
