package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"time"

	"onhand/store/storetest"
)

const (
	// balancedMax bounds the wait until haproxy has found all instances, and checkedTwice is how long it needs for that
	// once it has found one (inter, rise).
	balancedMax, checkedTwice = 20 * time.Second, 2 * time.Second
	// getBytesMax bounds an answer of /readyz or /metrics.
	getBytesMax = 1 << 20
)

// balancedSettings lift the bounds on one caller: the load generator is one. They name a secret because an instance
// without one serves this machine alone, past no proxy; callers have no token.
var balancedSettings = []string{
	"AUTH_SECRET=the secret of a benchmark, 32 bytes at least", "ADMIN_ADDR=off", "TRUSTED_PROXIES=127.0.0.1", "HOLDER_LIMITS=off",
	"RATE_READS=off", "RATE_WRITES=off", "RATE_SUBSCRIPTIONS=off", "RATE_DOCUMENTS=off", "RATE_TOKENS=off",
}

// haproxyPath finds the program, which packages do not put on every PATH.
func haproxyPath() (string, error) {
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/opt/homebrew/bin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("haproxy: %w (Debian: apt-get install haproxy)", storetest.ErrNotInstalled)
}

// configuration is that of haproxy, from the root of the repository; tests run elsewhere.
var configuration = "deploy/haproxy/haproxy.cfg"

// balance starts haproxy before the instances of the shop, and waits until it has checked every one.
//
// Errors: storetest.ErrNotInstalled.
func (s *shop) balance(ctx context.Context) error {
	program, err := haproxyPath()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.balancer = listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	haproxy := exec.Command(program, "-db", "-q", "-f", configuration)
	haproxy.Env = []string{"ONHAND_BIND=" + s.balancer}
	for n, instance := range s.instances {
		haproxy.Env = append(haproxy.Env, fmt.Sprintf("ONHAND_%d=%s", n+1, instance.Address))
	}
	if len(s.instances) == 1 { // the configuration has two: this one takes the same twice
		haproxy.Env = append(haproxy.Env, "ONHAND_2="+s.instances[0].Address)
	}
	if err := haproxy.Start(); err != nil {
		return fmt.Errorf("haproxy: %w", err)
	}
	s.atEnd(func() error { _ = haproxy.Process.Kill(); _ = haproxy.Wait(); return nil }) // it has nothing to finish
	for deadline := time.Now().Add(balancedMax); ; time.Sleep(50 * time.Millisecond) {
		_, err := get(ctx, "http://"+s.balancer+"/readyz")
		if err == nil {
			time.Sleep(checkedTwice)
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("haproxy has no instance after %s: %w", balancedMax, err)
		}
	}
}

// get reads an answer with status 200.
func get(ctx context.Context, url string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(response.Body, getBytesMax))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return string(body), err
}
