package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// maxInterim is how many interim responses (1xx) may come before the response. net/http counts them only while nobody looks at them.
const maxInterim = 100

var errInterim = &record.FailedError{
	Failure: proxy.Failure{
		Reason: proxy.ReasonUpstreamInvalid, Side: sideServer, Detail: fmt.Sprintf("the server sent more than %d interim responses and no response", maxInterim),
	},
	Err: errors.New("too many 1xx responses"),
}

// interim counts the interim responses to one request.
type interim struct{ count atomic.Int64 }

func (i *interim) tooMany() bool { return i.count.Load() > maxInterim }

// withInterim ends a request to which there are too many interim responses. Hooks of the caller stay; of several httptrace heeds only
// the oldest one's error, so the context has to end it.
func withInterim(r *http.Request) (*http.Request, *interim) {
	i := &interim{}
	ctx, end := context.WithCancelCause(r.Context()) // ends with r's
	return r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		if i.count.Add(1) > maxInterim {
			end(errInterim)
			return errInterim
		}
		return nil
	}})), i
}
