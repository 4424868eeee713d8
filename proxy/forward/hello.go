package forward

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
)

// hello is what a ClientHello says in clear.
type hello struct {
	serverName string
	protocols  []string // ALPN
}

func helloOf(in *tls.ClientHelloInfo) hello {
	return hello{serverName: in.ServerName, protocols: slices.Clone(in.SupportedProtos)}
}

var errHeard = errors.New("heard")

// readHello reads a ClientHello from conn and answers nothing; read is what was taken from conn, also when it is none.
func readHello(conn net.Conn) (h hello, read []byte, err error) {
	var taken bytes.Buffer
	err = tls.Server(mute{Conn: conn, r: io.TeeReader(conn, &taken)}, &tls.Config{
		MinVersion: tls.VersionTLS10, //nolint:gosec // no connection comes of it
		GetConfigForClient: func(in *tls.ClientHelloInfo) (*tls.Config, error) {
			h = helloOf(in)
			return nil, errHeard
		},
	}).Handshake() //nolint:noctx // the connection has its own end
	if errors.Is(err, errHeard) {
		err = nil
	}
	return h, taken.Bytes(), err
}

// mute is a connection on which nothing is said.
type mute struct {
	net.Conn
	r io.Reader
}

func (c mute) Read(b []byte) (int, error)  { return c.r.Read(b) }
func (c mute) Write(b []byte) (int, error) { return len(b), nil }
func (c mute) Close() error                { return nil }
