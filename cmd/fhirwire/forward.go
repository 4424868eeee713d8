package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"fhirwire/proxy/forward"
	"fhirwire/proxy/localca"
	"fhirwire/web"
)

// userList is the setting forward-user: NAME:SECRET each.
type userList []string

const userSeparator = ","

const shortestSecret = 8

// users are the names with their secrets.
func (l userList) users() (map[string]string, error) {
	out := make(map[string]string, len(l))
	for i, pair := range l {
		name, secret, ok := strings.Cut(strings.TrimSpace(pair), ":")
		if !ok || name == "" || len(secret) < shortestSecret { // not to be quoted in a message
			return nil, fmt.Errorf("forward-user: entry %d: want NAME:SECRET with a secret of %d characters or more", i+1, shortestSecret)
		}
		out[name] = secret
	}
	return out, nil
}

// checkForward keeps the forward proxy from starting where strangers could use it.
func (a *app) checkForward() error {
	if a.forward == nil || a.forward.addrPort().Addr().IsLoopback() || len(a.cfg.ForwardUser) > 0 {
		return nil
	}
	return fmt.Errorf("forward-listen: %s is not on loopback, where the forward proxy needs credentials: give --forward-user NAME:SECRET, or --forward-listen off", a.forward.addrPort())
}

// forwardNeedsCredentials tells when names alone do not do.
func (a *app) forwardNeedsCredentials() bool {
	return len(a.cfg.ForwardUser) > 0 || a.forward != nil && !a.forward.addrPort().Addr().IsLoopback()
}

// forwardHowTo is what the dashboard tells people of the forward proxy.
func (a *app) forwardHowTo() web.Forward {
	if a.forward == nil {
		return web.Forward{}
	}
	f := web.Forward{URL: a.forward.url(), RootHref: "/ca/root.pem"}
	if at := a.forward.addrPort(); !at.Addr().IsLoopback() {
		f.URL = reachedFromElsewhere(f.URL, a.cfg.ProxyURL, at.Port())
	}
	if a.forwardNeedsCredentials() {
		f.Token = a.forwardToken
	}
	return f
}

// reachedFromElsewhere is the forward proxy's URL by the name under which people reach the proxy, if one is set.
func reachedFromElsewhere(own, proxyURL string, port uint16) string {
	u, err := url.Parse(proxyURL)
	if err != nil || u.Hostname() == "" {
		return own
	}
	return "http://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(int(port)))
}

// newForward makes the forward proxy. Without its listener it still passes on what comes to the TLS listener for others.
func (a *app) newForward(toServers http.RoundTripper) *forward.Server {
	return forward.New(a.store, a.recorder, leaves{a}, forward.Options{
		RequireCredentials: a.forwardNeedsCredentials(), Users: a.forwardUsers, Token: a.forwardToken,
		Transport: toServers, Peers: a.peers, Own: a.ownListeners(), Clock: a.p.now, Logger: a.logger,
	})
}

// drainForward closes the forward proxy's tunnels when ctx ends; http.Server does not know them.
func (a *app) drainForward(ctx context.Context, f *forward.Server) error {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := f.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		a.logger.WarnContext(ctx, "tunnels were still open at shutdown")
		return nil
	}
	return err
}

// openForward reads the forward proxy's credentials and makes the tokens of channels.
func (a *app) openForward(context.Context) error {
	users, err := a.cfg.ForwardUser.users()
	if err != nil {
		return err
	}
	a.forwardUsers = users
	path := filepath.Join(a.cfg.Data, "keys", "forward.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = newKey(path)
	}
	if err == nil && len(key) != keyBytes {
		err = fmt.Errorf("%s has %d bytes, want %d", path, len(key), keyBytes)
	}
	if err != nil {
		return fmt.Errorf("key of the forward proxy: %w", err)
	}
	a.forwardToken = func(user string) string { return tokenOf(key, user) }
	return nil
}

// tokenOf is the password of a user name that is a channel's or a client's: 130 bits, the same after a restart.
func tokenOf(key []byte, user string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("forward proxy\x00" + user))
	return strings.ToLower(base32.StdEncoding.EncodeToString(m.Sum(nil))[:26])
}

// leaves gives certificates for registered hosts, also for one that was registered a moment ago.
type leaves struct{ a *app }

// Leaf implements forward.Leaves.
func (l leaves) Leaf(host string) (*tls.Certificate, error) {
	c, err := l.a.ca.Leaf(host)
	if !errors.Is(err, localca.ErrNotPermitted) {
		return c, err
	}
	if err := l.a.permit(context.Background()); err != nil {
		return nil, err
	}
	return l.a.ca.Leaf(host)
}
