package smartauth

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"fhirwire/validators/fhirjson"
)

// maxBatch bounds the body of a batch, which is read here to judge it.
const maxBatch = 32 << 20

// isBatch reports a batch or transaction: a Bundle posted to the base.
func (q request) isBatch() bool { return len(q.segments) == 0 && q.method == http.MethodPost }

// batchNeed is what the entries of a batch need together, each as if it had come alone. The body is put back. Where an entry cannot
// be read, or is for another server, it may be anything.
func (s *Server) batchNeed(r *http.Request) (Need, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBatch+1))
	if err != nil || len(body) > maxBatch {
		return nil, refuse(http.StatusRequestEntityTooLarge, "invalid_request", "The batch cannot be read, or is larger than %d bytes.", maxBatch)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	anything := Need{{system("*", allRights)}}
	doc := fhirjson.Parse(body)
	defer doc.Release()
	if doc.Fatal() != nil || len(doc.Problems()) > 0 || doc.Root().Member("entry").FirstOrNil() == nil {
		return anything, nil // the handler says what is wrong with it
	}
	var out Need
	for e := doc.Root().Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		req := e.Member("request")
		u, err := url.Parse(req.MemberText("url"))
		if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(u.EscapedPath(), s.o.FHIRPath+"/") || u.EscapedPath() == "" && u.RawQuery == "" {
			return anything, nil //nolint:nilerr // as above
		}
		q := readRequest(req.MemberText("method"), u.EscapedPath(), parseQuery(u.RawQuery))
		if q.isBatch() || strings.Contains(u.EscapedPath(), "..") {
			return anything, nil
		}
		out = append(out, q.need()...)
	}
	return out, nil
}

// parseQuery reads a query as the handler does, where a semicolon is a character like others: url.ParseQuery passes such parameters
// over, and what is not seen is not judged. What cannot be decoded is passed over; the handler refuses it.
func parseQuery(raw string) url.Values {
	out := url.Values{}
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil || n == "" {
			continue
		}
		if v, err := url.QueryUnescape(value); err == nil {
			out.Add(n, v)
		}
	}
	return out
}
