package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProxyNotesAnswers: the proxy passes bytes on in both directions, and the time of an answer is from before its reader
// has it. A request changes no time.
func TestProxyNotesAnswers(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	proxy, throughURL, err := startProxy("postgres://postgres@" + server.Addr().String() + "/shop?sslmode=disable")
	require.NoError(t, err)
	assert.Equal(t, "postgres://postgres@"+proxy.listener.Addr().String()+"/shop?sslmode=disable", throughURL)
	client, err := net.Dial("tcp", proxy.listener.Addr().String())
	require.NoError(t, err)
	accepted, err := server.Accept()
	require.NoError(t, err)

	text := make([]byte, 2)
	_, err = client.Write([]byte("ab"))
	require.NoError(t, err)
	_, err = io.ReadFull(accepted, text)
	require.NoError(t, err)
	assert.Equal(t, "ab", string(text))
	assert.Zero(t, proxy.answered.Load())

	before := time.Since(started)
	_, err = accepted.Write([]byte("cd"))
	require.NoError(t, err)
	_, err = io.ReadFull(client, text)
	require.NoError(t, err)
	assert.Equal(t, "cd", string(text))
	answered := time.Duration(proxy.answered.Load())
	assert.GreaterOrEqual(t, answered, before)
	assert.LessOrEqual(t, answered, time.Since(started))
	require.NoError(t, proxy.close())
	_, err = client.Read(text)
	require.Error(t, err, "the proxy is closed")
}
