package proxy

import (
	"context"
	"errors"
	"io"
)

// Digest is the lower-case hexadecimal SHA-256 of a body's bytes as received on the wire (after transfer coding, before
// content decoding).
type Digest string

// Body describes a message body; its bytes are opened from a Bodies by Digest.
type Body struct {
	// Size counts the bytes that passed, of which Stored are kept (fewer when a cap cut the stored copy).
	Size   int64
	Stored int64
	// Digest is over all bytes that passed, also when the stored copy is shorter or has secrets replaced; "" for no body.
	Digest Digest
	// Complete is false when the sender or the receiver broke off before the end.
	Complete bool
	// Redacted says that the stored copy has secrets replaced by fingerprints (OAuth bodies), so its own digest differs.
	Redacted bool
	// Withheld says why less is stored than passed, where that was not the cap: "too long to be searched for secrets".
	Withheld string
}

// Empty reports that no byte passed.
func (b Body) Empty() bool { return b.Size == 0 }

// Truncated reports that the stored copy is shorter than what passed.
func (b Body) Truncated() bool { return b.Stored < b.Size && !b.Redacted }

// Bodies opens stored bodies. The reader yields the stored copy, still content-encoded.
type Bodies interface {
	OpenBody(ctx context.Context, d Digest) (io.ReadCloser, error)
}

// ErrNoBody says that no body is stored under a digest.
var ErrNoBody = errors.New("no body stored under this digest")
