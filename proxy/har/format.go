package har

import (
	"encoding/json"
	"time"

	"fhirwire/proxy"
)

// The shapes of HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec). Times are in ms, -1 where they do not apply; sizes in bytes, -1
// where they are not known.
type entry struct {
	StartedDateTime string    `json:"startedDateTime"`
	Time            float64   `json:"time"`
	Request         *request  `json:"request"`
	Response        *response `json:"response"`
	Cache           struct{}  `json:"cache"`
	Timings         timings   `json:"timings"`
	Comment         string    `json:"comment,omitempty"`
	ServerIPAddress string    `json:"serverIPAddress,omitempty"`
	Error           string    `json:"_error,omitempty"` // as browsers write it, where there was no response
	Own             *own      `json:"_fhirwire,omitempty"`
}

type request struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []pair    `json:"cookies"`
	Headers     []pair    `json:"headers"`
	QueryString []pair    `json:"queryString"`
	PostData    *postData `json:"postData,omitempty"`
	HeadersSize int64     `json:"headersSize"`
	BodySize    int64     `json:"bodySize"`
}

type response struct {
	Status      int     `json:"status"`
	StatusText  string  `json:"statusText"`
	HTTPVersion string  `json:"httpVersion"`
	Cookies     []pair  `json:"cookies"`
	Headers     []pair  `json:"headers"`
	Content     content `json:"content"`
	RedirectURL string  `json:"redirectURL"`
	HeadersSize int64   `json:"headersSize"`
	BodySize    int64   `json:"bodySize"`
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// cookies are left out when read and written: they stand in the headers, and tools write them in different shapes.

type postData struct {
	MimeType string `json:"mimeType"`
	Text     string `json:"text"`
	Params   []pair `json:"params,omitempty"`
	Encoding string `json:"_encoding,omitempty"` // "base64": HAR has none here
}

type content struct {
	Size     int64  `json:"size"`
	MimeType string `json:"mimeType"`
	Text     string `json:"text,omitempty"`
	Encoding string `json:"encoding,omitempty"`
}

type timings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
	SSL     float64 `json:"ssl"`
}

// own is what HAR has no place for.
type own struct {
	ID         string         `json:"id"`
	Number     int64          `json:"number,omitempty"`
	Channel    string         `json:"channel,omitempty"`
	Matched    string         `json:"matched,omitempty"`
	Mode       proxy.Mode     `json:"mode,omitempty"`
	ClientAddr string         `json:"clientAddr,omitempty"`
	ClientLeg  *proxy.Leg     `json:"clientLeg,omitempty"`
	ServerLeg  *proxy.Leg     `json:"serverLeg,omitempty"`
	Target     string         `json:"target,omitempty"`
	Failure    *proxy.Failure `json:"failure,omitempty"`
	Edits      []proxy.Edit   `json:"edits,omitempty"`
	Times      times          `json:"times"`
	Request    half           `json:"request"`
	Response   *half          `json:"response,omitempty"`
}

type times struct {
	Start, RequestDone, Connected, FirstByte, End time.Time
	ReusedUpConn                                  bool
}

type half struct {
	Body    proxy.Body   `json:"body"`
	Trailer proxy.Header `json:"trailer,omitempty"`
	// Raw is the stored body where the text beside it is not: decoded, or not there.
	Raw []byte `json:"raw,omitempty"`
}

// logOwn is "_fhirwire" of the log.
type logOwn struct {
	Channels []channel `json:"channels,omitempty"`
}

// channel is what of a channel decides how its exchanges are judged.
type channel struct {
	Name      string               `json:"name"`
	ServerURL string               `json:"serverURL"`
	Options   proxy.ChannelOptions `json:"options"`
}

type creator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// raw keeps what is skipped.
type raw = json.RawMessage
