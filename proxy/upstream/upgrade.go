package upstream

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"
)

// A WebSocket begins with a request of HTTP/1.1. net/http keeps connections for such requests apart, but what is offered to the server
// is the dialer's to say.

type upgradeKey struct{}

// forUpgrade marks the context of a request that asks for a WebSocket; such a mark reaches the dialer.
func forUpgrade(r *http.Request) *http.Request {
	if !hasToken(r.Header["Connection"], "upgrade") || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), upgradeKey{}, true))
}

// offered are the protocols that a connection for ctx may speak.
func offered(ctx context.Context) []string {
	if ctx.Value(upgradeKey{}) != nil {
		return []string{"http/1.1"}
	}
	return []string{"h2", "http/1.1"}
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}
