package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestBroken: however net/http comes to know of it, a connection that the peer ended is told as that.
func TestBroken(t *testing.T) {
	write := func(err error) error { return fmt.Errorf("write: %w", &net.OpError{Op: "write", Net: "tcp", Err: err}) }
	for _, err := range []error{
		io.EOF, io.ErrUnexpectedEOF, write(syscall.ECONNRESET), write(syscall.EPIPE), write(net.ErrClosed), errors.New("http: server closed idle connection"),
	} {
		if !broken(err) {
			t.Errorf("%v: not told", err)
		}
	}
	for _, err := range []error{errors.New("odd"), write(syscall.ECONNREFUSED)} {
		if broken(err) {
			t.Errorf("%v: taken for an end of the peer's", err)
		}
	}
}
