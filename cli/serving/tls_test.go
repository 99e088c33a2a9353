package serving

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store"
)

// certificateFiles are files of a certificate, as another program keeps them.
type certificateFiles struct{ cert, key string }

func newCertificateFiles(t *testing.T) certificateFiles {
	t.Helper()
	folder := t.TempDir()
	return certificateFiles{filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")}
}

// issue returns a new certificate for 127.0.0.1 and shop.example.com in PEM, with its key.
func issue(t *testing.T, serial int64) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.example.com"}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// replace writes a pair to the files, one after the other.
func (f certificateFiles) replace(t *testing.T, certPEM, keyPEM []byte) {
	t.Helper()
	for path, text := range map[string][]byte{f.cert: certPEM, f.key: keyPEM} {
		require.NoError(t, os.WriteFile(path+".new", text, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
}

// serveDemo serves the demo shop with these settings, and returns its address.
func serveDemo(t *testing.T, settings *Settings) (address string) {
	t.Helper()
	st := demoStore(t, store.Config{NearCacheBytes: 1 << 20})
	require.NoError(t, st.Start())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, st, settings, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	return listener.Addr().String()
}

// clientOf is a client that trusts certificates and speaks some protocols.
func clientOf(t *testing.T, protocols string, trusted ...[]byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, certPEM := range trusted {
		require.True(t, roots.AppendCertsFromPEM(certPEM))
	}
	spoken := &http.Protocols{}
	spoken.SetHTTP1(protocols == "h1")
	spoken.SetHTTP2(protocols == "h2")
	spoken.SetUnencryptedHTTP2(protocols == "h2c")
	transport := &http.Transport{Protocols: spoken, TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// askTypename sends a query, and returns the answer without its body, which is right.
func askTypename(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	response, err := client.Post(url+graphqlPath, "application/json", strings.NewReader(`{"query":"{ __typename }"}`))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	assert.NoError(t, err)
	assert.Equal(t, `{"data":{"__typename":"Query"}}`, body.String())
	return response, nil
}

// TestTLS: with a certificate the server speaks TLS, HTTP/1.1 and HTTP/2, and nothing
// without it.
func TestTLS(t *testing.T) {
	t.Parallel()
	files := newCertificateFiles(t)
	certPEM, keyPEM := issue(t, 1)
	files.replace(t, certPEM, keyPEM)
	settings := &Settings{tlsSettings: tlsSettings{files.cert, files.key}, httpSettings: httpSettings{AllowedHosts: []string{"shop.example.com"}}}
	require.NoError(t, settings.tlsSettings.check())
	assert.Equal(t, "https", settings.Scheme())
	address := serveDemo(t, settings)
	for protocols, want := range map[string]string{"h1": "HTTP/1.1", "h2": "HTTP/2.0"} {
		response, err := askTypename(t, clientOf(t, protocols, certPEM), "https://"+address)
		require.NoError(t, err)
		assert.Equal(t, want, response.Proto)
		assert.GreaterOrEqual(t, response.TLS.Version, uint16(tls.VersionTLS12))
		assert.Empty(t, response.Header.Get("Strict-Transport-Security"), "localhost has other servers")
	}
	named := clientOf(t, "h2", certPEM)
	named.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	response, err := askTypename(t, named, "https://shop.example.com")
	require.NoError(t, err)
	assert.Equal(t, "max-age=31536000", response.Header.Get("Strict-Transport-Security"))

	response, err = clientOf(t, "h1").Get("http://" + address + "/healthz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusBadRequest, response.StatusCode, "plain HTTP")
	_, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	assert.Error(t, err, "an old version of TLS")
}

// TestCertificateRotation: under load, and while the two files are replaced one after the
// other, every connection gets a certificate; new ones get the new pair. A pair that
// cannot be used does not replace the one before.
func TestCertificateRotation(t *testing.T) {
	t.Parallel()
	files := newCertificateFiles(t)
	oldCert, oldKey := issue(t, 1)
	newCert, newKey := issue(t, 2)
	files.replace(t, oldCert, oldKey)
	var log bytes.Buffer
	c := &certificate{certFile: files.cert, keyFile: files.key, log: slog.New(slog.NewTextHandler(&log, nil))}
	server := newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), &tls.Config{GetCertificate: c.get}, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- serve(server, listener) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(append(bytes.Clone(oldCert), newCert...)))
	serial := func() int64 {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "shop.example.com"})
		if !assert.NoError(t, err, "a handshake while the files change") {
			return 0
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	assert.EqualValues(t, 1, serial())

	var stop atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				serial()
			}
		})
	}
	for range 20 {
		files.replace(t, newCert, newKey)
		files.replace(t, oldCert, oldKey)
	}
	files.replace(t, newCert, newKey)
	assert.EqualValues(t, 2, serial())
	files.replace(t, []byte("half a certif"), newKey)
	assert.EqualValues(t, 2, serial())
	require.NoError(t, os.Remove(files.key))
	assert.EqualValues(t, 2, serial())
	files.replace(t, oldCert, oldKey)
	assert.EqualValues(t, 1, serial())
	stop.Store(true)
	load.Wait()
	assert.Contains(t, log.String(), "new certificate")
	assert.Contains(t, log.String(), "the one before stays")
	assert.NotContains(t, log.String(), "PRIVATE")
}

// TestLookInterval: while clients connect, the files are looked at once in an interval,
// and a broken pair is logged once.
func TestLookInterval(t *testing.T) {
	t.Parallel()
	files := newCertificateFiles(t)
	cert, key := issue(t, 1)
	files.replace(t, cert, key)
	var log bytes.Buffer
	c := &certificate{certFile: files.cert, keyFile: files.key, interval: time.Hour, log: slog.New(slog.NewTextHandler(&log, nil))}
	first, err := c.get(nil)
	require.NoError(t, err)
	files.replace(t, []byte("x"), key)
	for range 3 {
		again, err := c.get(nil)
		require.NoError(t, err)
		assert.Same(t, first, again)
	}
	assert.Empty(t, log.String())
	c.interval = 0
	for range 3 {
		again, err := c.get(nil)
		require.NoError(t, err)
		assert.Same(t, first, again)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))

	_, err = (&certificate{certFile: "missing", keyFile: "missing", log: c.log}).get(nil)
	assert.Error(t, err)
}

// TestTLSSettings: files that cannot be used are refused before the server starts.
func TestTLSSettings(t *testing.T) {
	t.Parallel()
	files, others := newCertificateFiles(t), newCertificateFiles(t)
	cert, key := issue(t, 1)
	files.replace(t, cert, key)
	otherCert, otherKey := issue(t, 2)
	others.replace(t, otherCert, otherKey)
	require.NoError(t, (&tlsSettings{}).check())
	require.NoError(t, (&tlsSettings{files.cert, files.key}).check())
	for _, settings := range []tlsSettings{{files.cert, ""}, {"", files.key}, {files.cert, others.key}, {files.key, files.cert}, {files.cert + "x", files.key}} {
		err := settings.check()
		require.ErrorContains(t, err, "tls-cert")
		assert.NotContains(t, err.Error(), "PRIVATE")
	}
}

// TestSocketOverTLS: a WebSocket and its subscription work over TLS.
func TestSocketOverTLS(t *testing.T) {
	t.Parallel()
	files := newCertificateFiles(t)
	cert, key := issue(t, 1)
	files.replace(t, cert, key)
	address := serveDemo(t, &Settings{tlsSettings: tlsSettings{files.cert, files.key}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "wss://"+address+graphqlPath, &websocket.DialOptions{
		HTTPClient: clientOf(t, "h1", cert), Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://" + address}},
	})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	for _, exchange := range [][2]string{
		{`{"type":"connection_init"}`, "connection_ack"},
		{`{"id":"1","type":"subscribe","payload":{"query":"subscription { stockChanged(productIds: [\"22423\"]) { productId } }"}}`, `{"stockChanged":{"productId":"22423"}}`},
	} {
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(exchange[0])))
		_, message, err := conn.Read(ctx)
		require.NoError(t, err)
		assert.Contains(t, string(message), exchange[1])
	}
}
