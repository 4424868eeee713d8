package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestNothingOfAnAnswerIsPrinted: a server that sends more than its answer, which net/http quotes in the standard logger.
func TestNothingOfAnAnswerIsPrinted(t *testing.T) {
	const secret = "a-secret-behind-the-answer"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokayHTTP/1.1 200 OK\r\nX-Token: "+secret+"\r\n\r\n")
				_, _ = io.Copy(io.Discard, c) // until the proxy hangs up
			}()
		}
	}()
	// A process of its own: the standard logger is the process's.
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "fhirwire", "check", "--data", t.TempDir(), fmt.Sprintf("http://%s/fhir", ln.Addr()))
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil {
		t.Error("such a server is fine")
	}
	if strings.Contains(stderr.String(), secret) {
		t.Errorf("printed: %s", stderr.String())
	}

	out := &lockedBuffer{}
	serve := exec.CommandContext(t.Context(), "fhirwire", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0",
		"--reference-listen", "off", "--forward-listen", "off", "--tls-listen", "off", "--log-level", "debug")
	serve.Stdout, serve.Stderr = out, out
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "the program's addresses", func() bool { return strings.Contains(out.String(), "  data ") })
	at := func(name string) string {
		_, rest, _ := strings.Cut(out.String(), "\n  "+name)
		return strings.Fields(rest)[0]
	}
	s := &served{t: t, dashboard: at("dashboard")}
	s.channel("app", "odd", fmt.Sprintf("http://%s/fhir", ln.Addr()))
	for range 3 {
		if status, body, _ := s.do(http.DefaultClient, http.MethodGet, at("proxy")+"/app~odd/fhir/x", "", ""); status != http.StatusOK || body != "okay" {
			t.Errorf("%d %s", status, body)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Error(err)
	}
	if strings.Contains(out.String(), secret) || strings.Contains(out.String(), "Unsolicited") {
		t.Errorf("printed: %s", out.String())
	}
}
