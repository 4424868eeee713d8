package main

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveOnce runs serve with args to its end, which is near.
func serveOnce(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	out := &lockedBuffer{}
	p := &process{stdin: strings.NewReader(""), stdout: out, stderr: out, getenv: unlimited, now: time.Now}
	code = runMain(t.Context(), p, append([]string{"serve"}, args...))
	return code, out.String()
}

var listenerFlags = []string{"listen", "proxy-listen", "forward-listen", "reference-listen", "tls-listen"}

func TestAddressesInUse(t *testing.T) {
	first := startServe(t, t.TempDir())
	taken := map[string]string{}
	var args []string
	for _, flag := range listenerFlags {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		taken[flag] = ln.Addr().String()
	}
	taken["listen"] = strings.TrimPrefix(first.dashboard, "http://") // of another fhirwire
	for flag, addr := range taken {
		args = append(args, "--"+flag, addr)
	}
	data := filepath.Join(t.TempDir(), "data")
	code, said := serveOnce(t, append(args, "--data", data)...)
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	parts := strings.Split(strings.TrimSpace(said), "; ") // one line has them all
	if len(parts) != len(listenerFlags) || strings.Count(said, "\n") != 1 {
		t.Errorf("%d parts for %d listeners:\n%s", len(parts), len(listenerFlags), said)
	}
	for flag, addr := range taken {
		found := 0
		for _, part := range parts {
			if strings.Contains(part, " "+addr+" is in use") && strings.Contains(part, "with --"+flag+" ") {
				found++
			}
		}
		if found != 1 {
			t.Errorf("--%s %s is named in %d parts:\n%s", flag, addr, found, said)
		}
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data folder was begun: %v", err)
	}
	if status, _, _ := first.do(http.DefaultClient, http.MethodGet, first.dashboard+"/healthz", "", ""); status != http.StatusOK {
		t.Errorf("the other fhirwire answers %d", status)
	}
}

func TestOneAddressInUse(t *testing.T) {
	for _, flag := range listenerFlags {
		t.Run(flag, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ln.Close() }()
			data := filepath.Join(t.TempDir(), "data")
			args := []string{"--data", data}
			for _, f := range listenerFlags {
				addr := "127.0.0.1:0"
				if f == flag {
					addr = ln.Addr().String()
				}
				args = append(args, "--"+f, addr)
			}
			code, said := serveOnce(t, args...)
			if code != exitUsage || strings.Count(said, "\n") != 1 || !strings.Contains(said, "--"+flag) || !strings.Contains(said, ln.Addr().String()) {
				t.Errorf("exit %d: %s", code, said)
			}
			if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the data folder was begun: %v", err)
			}
		})
	}
}
