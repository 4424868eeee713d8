// Package reverse is the peer-to-peer proxy: an http.Handler under which every registered channel has a URL, which alone says who is
// talking to whom. New(channels, recorder, Options{}) serves both forms of it, http://HOST/{channel}/… and http://{channel}.HOST/….
//
// Requests and responses pass byte for byte and as fast as they come; each is an exchange of the Recorder. What the proxy changes is
// listed in the exchange's edits: URLs that must name the proxy (package rewrite), and the dashboard's own cookies. Two things change
// without being listed, since HTTP makes every proxy do so: the Host of the request, and hop-by-hop fields (RFC 9110 7.6.1). A JSON
// response up to 1 MiB is read whole before it is passed, to know whether links in it change; everything else streams.
//
// The auxiliary servers of the channel's server system are behind /@name/ of the channel. In an authorization request, in a URL, posted or
// pushed, aud and resource that name the proxy are put back to the server's own URL; where they are signed they stay and the exchange
// says so. The paths of cookies follow the rewritten paths. Fields that name a client certificate (RFC 9440) are believed from gateways
// that are set, and taken out.
//
// Of an edited body, ETag and digest fields stay the server's. Bodies in codings other than gzip, NDJSON and partial content (206) are
// never edited; links in them leave the proxy.
//
// It does not follow redirects, retry, cache, decompress for the client or add forwarding headers, and nobody can edit traffic.
package reverse
