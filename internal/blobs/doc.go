// Package blobs keeps large bodies as files under their digest.
//
// Use OpenDir, then Put and Open with keys that start with the lower-case hexadecimal SHA-256 of the body. A key's content
// never changes: a second Put of a key is a no-op. A file appears under its name only when it is complete and on disk. The
// package neither computes digests nor knows exchanges, and nothing is deleted.
package blobs
