package serving

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// tlsSettings name the files of the certificate that the server shows.
type tlsSettings struct {
	TLSCert string `name:"tls-cert" env:"TLS_CERT" placeholder:"FILE" help:"PEM file of a certificate with its intermediates. With TLS_KEY the server speaks TLS; changed files are read again." more:"[rules](security.md#https-and-http2)"`
	TLSKey  string `name:"tls-key" env:"TLS_KEY" placeholder:"FILE" help:"PEM file of its key."`
}

func (s *tlsSettings) check() error {
	switch {
	case !s.usesTLS():
		return nil
	case s.TLSCert == "" || s.TLSKey == "":
		return errors.New("tls-cert and tls-key are set together, or neither")
	}
	_, err := loadCertificate(s.TLSCert, s.TLSKey)
	return err
}

func (s *tlsSettings) usesTLS() bool { return s.TLSCert != "" || s.TLSKey != "" }

// Scheme is that of the server's URL.
func (s *tlsSettings) Scheme() string {
	if s.usesTLS() {
		return "https"
	}
	return "http"
}

// config makes the server show the files' certificate; nil for a server without TLS.
func (s *tlsSettings) config(log *slog.Logger) *tls.Config {
	if !s.usesTLS() {
		return nil
	}
	c := &certificate{certFile: s.TLSCert, keyFile: s.TLSKey, interval: certificateInterval, log: log}
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

// certificateInterval is how often the files are looked at, while clients connect.
const certificateInterval = time.Second

// certificate is a certificate in two files, which another program may replace. A pair
// that does not fit together, as between the writes of the two, is not used.
type certificate struct {
	certFile, keyFile string
	interval          time.Duration
	log               *slog.Logger

	mu       sync.Mutex
	lookedAt time.Time
	used     *tls.Certificate
	seen     fileStates // of the pair that is used
	failed   fileStates // of the last pair that could not be read
}

// get returns the certificate for a connection.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.lookedAt) >= c.interval {
		c.lookedAt = now
		c.look()
	}
	if c.used == nil {
		return nil, errors.New("no certificate could be read")
	}
	return c.used, nil
}

// look reads the files when they have changed. A pair that failed is read again each
// time, because a write may be under way; it is logged once.
func (c *certificate) look() {
	states := fileStates{stateOf(c.certFile), stateOf(c.keyFile)}
	if c.used != nil && states.same(c.seen) {
		return
	}
	pair, err := loadCertificate(c.certFile, c.keyFile)
	if err != nil {
		if !states.same(c.failed) {
			c.log.Error("the new certificate cannot be used; the one before stays", "error", err)
		}
		c.failed = states
		return
	}
	if c.used != nil {
		c.log.Info("new certificate", "file", c.certFile, "expires", pair.Leaf.NotAfter)
	}
	c.used, c.seen = pair, states
}

func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls-cert %s, tls-key %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// fileStates are those of two files; nil for one that is missing.
type fileStates [2]fs.FileInfo

func stateOf(file string) fs.FileInfo {
	info, err := os.Stat(file) // of the target of a symbolic link, which Kubernetes replaces
	if err != nil {
		return nil
	}
	return info
}

func (s fileStates) same(other fileStates) bool {
	for i, info := range s {
		switch before := other[i]; {
		case info == nil || before == nil:
			if info != before {
				return false
			}
		case !os.SameFile(info, before) || info.Size() != before.Size() || !info.ModTime().Equal(before.ModTime()):
			return false
		}
	}
	return true
}
