// Package directory serves an mTLS endpoint directory over HTTP: the folder of Bundles that payers publish (P2P-DIR-06).
//
// New takes a file system, such as a git checkout; Handler serves /directory/index.json and /directory/bundles/{file}. A checkout
// leaves no trace in HTTP; served like this, looking a partner up is an exchange that can be recorded and judged. Publish makes the
// signed Bundle of a payer, for one that has none yet.
//
// It serves the bytes as they are and judges nothing: that is validators/directory's work.
package directory
