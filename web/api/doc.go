// Package api is the JSON API under /api/v1: systems, channels, exchanges, reports, validation and a stream of notices.
//
// Use New with Deps and call Register on a router group. Errors are RFC 9457 problem documents, lists page by cursor, and
// recorded bodies leave as attachments of type application/octet-stream. Its shapes are in types.go and its description in
// openapi.yaml; a test keeps both and the routes together. It holds no state and renders no pages.
package api
