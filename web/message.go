package web

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// half is one message of an exchange with its body read as far as the page needs it.
type half struct {
	key     string // "request" or "response"
	msg     proxy.Message
	body    *openedBody // nil when it was not read
	layout  *layout     // nil when there is nothing to lay out
	mode    string
	marks   map[int][]mark // by line
	records bool
	fields  []formField // of a form that is laid out as one
}

// halves are both messages; response is nil when there is none.
type halves struct {
	request, response *half
	ex                *proxy.Exchange
	byIssue           map[int]place
	origin            string // of the dashboard, for links in what is copied
}

// place is where a finding is shown.
type place struct {
	half *half
	line int // index in the half's layout, -1 for no line
	// header is the header field it is on, empty for none.
	header string
	// record is the record of NDJSON that it is in, counted from 1; 0 for none.
	record int
}

const (
	peekBytes    = 1 << 20 // read on pages that only need line numbers
	excerptLines = 14
)

// halves reads the bodies that the tab shows, and both as far as findings need line numbers.
func (s *Server) halves(ctx context.Context, n *names, ex *proxy.Exchange, r *validators.Report, tab string, vr viewRequest) *halves {
	h := &halves{ex: ex, byIssue: map[int]place{}, origin: vr.origin}
	h.request = &half{key: "request", msg: ex.Request.Message}
	if ex.Response != nil {
		h.response = &half{key: "response", msg: ex.Response.Message}
	}
	records := ex.Interaction.Kind == proxy.KindBulkFile
	for _, x := range []*half{h.request, h.response} {
		if x == nil || x.msg.Body.Empty() {
			continue
		}
		limit := int64(peekBytes)
		if tab == x.key {
			limit = viewBytes
		} else if x.msg.Body.Stored > peekBytes && tab != "summary" {
			continue // its findings link by their own number
		}
		x.body = openBody(ctx, s.deps.Bodies, x.msg, limit)
		kind := strings.ToLower(x.msg.Header.Get("Content-Type"))
		x.records = strings.Contains(kind, "ndjson") || x == h.response && records
		x.choose(vr, tab == x.key)
	}
	if r == nil {
		return h
	}
	for i := range r.Issues {
		h.locate(n, &r.Issues[i], i)
	}
	return h
}

// plainText is the body as a command can carry it, nil when it is not whole and as sent.
func (x *half) plainText() []byte {
	if x.body == nil || len(x.body.notes) > 0 || x.body.binary || x.msg.Body.Redacted || x.msg.Body.Truncated() {
		return nil
	}
	return x.body.text
}

// choose picks the view of the body and lays it out.
func (x *half) choose(vr viewRequest, asked bool) {
	x.mode = "raw"
	form := isForm(x.msg.Header)
	if form || asJSON(x.msg.Header, x.body.text) {
		x.mode = "pretty"
	}
	if x.body.binary {
		x.mode = "hex"
	}
	if asked && slices.Contains([]string{"pretty", "raw", "hex"}, vr.mode) {
		x.mode = vr.mode
	}
	switch {
	case x.mode == "pretty" && form:
		x.layout, x.fields = formLayout(x.body.text)
	case x.mode == "pretty":
		x.layout = prettyLayout(x.body.text, x.records)
	case x.mode == "raw":
		x.layout = rawLayout(x.body.text)
	}
}

// lineOf is the line that shows what an issue is about, -1 where none does.
func (x *half) lineOf(is *validators.Issue) int {
	switch {
	case x.layout == nil:
	case x.fields != nil:
		return formLine(x.fields, is)
	case is.Line <= 0:
	case x.msg.Body.Redacted && !x.records && asJSON(x.msg.Header, x.body.text):
		if at, ok := pointerOffset(x.body.text, is.Pointer); ok {
			return x.layout.lineAt(at)
		}
	case !x.msg.Body.Redacted && is.Offset < len(x.body.text):
		return x.layout.lineAt(is.Offset)
	}
	return -1
}

// locate finds the line of an issue.
func (h *halves) locate(n *names, is *validators.Issue, index int) {
	var x *half
	switch is.Part {
	case validators.PartRequestBody, validators.PartRequestHeader, validators.PartRequestLine:
		x = h.request
	case validators.PartResponseBody, validators.PartResponseHeader, validators.PartResponseStatus:
		x = h.response
	default: // the exchange as a whole
	}
	p := place{half: x, line: -1}
	inBody := is.Part == validators.PartRequestBody || is.Part == validators.PartResponseBody
	switch {
	case x != nil && inBody:
		if p.line = x.lineOf(is); x.records {
			p.record = is.Line
		}
	case is.Part == validators.PartRequestHeader || x != nil && is.Part == validators.PartResponseHeader:
		p.header = headerOf(is, x.msg.Header)
	}
	h.byIssue[index] = p
	if p.line < 0 {
		return
	}
	m, rank := severityMark(is)
	if x.marks == nil {
		x.marks = map[int][]mark{}
	}
	f := h.finding(n, is, index)
	f.Place = placeText(is, p)
	at := is.Offset
	if x.msg.Body.Redacted && x.fields == nil {
		at, _ = pointerOffset(x.body.text, is.Pointer)
	}
	x.marks[p.line] = append(x.marks[p.line], mark{offset: at, class: m.Class, word: m.Word, rank: rank, finding: f})
}

// copiedFindings is how many findings of a page carry their text to copy.
const copiedFindings = 40

// finding is an issue in words, with its text to copy.
func (h *halves) finding(n *names, is *validators.Issue, index int) views.Finding {
	f := findingView(n, h.ex, is, index)
	if index >= listedFindings {
		f.Back = ""
	}
	if index < copiedFindings {
		href := h.origin + placeHref(h.ex, is, index)
		f.Markdown, f.JSON = ticket(&f, h.ex, href), findingJSON(h.ex, is, href)
	}
	return f
}

func placeText(is *validators.Issue, p place) string {
	switch {
	case p.line >= 0 && p.record > 0 && p.half.layout.json:
		return "Record " + views.Count(p.record) + ", line " + views.Count(p.half.layout.numberOf(p.line))
	case p.line >= 0:
		return "Line " + views.Count(p.half.layout.numberOf(p.line))
	case p.header != "":
		return "Header " + visible([]byte(p.header))
	case is.Line > 0:
		return "Line " + views.Count(is.Line) + " as sent"
	}
	switch is.Part {
	case validators.PartRequestLine:
		return "Request line"
	case validators.PartRequestHeader:
		return "Request headers"
	case validators.PartRequestBody:
		return "Request body"
	case validators.PartResponseStatus:
		return "Status"
	case validators.PartResponseHeader:
		return "Response headers"
	case validators.PartResponseBody:
		return "Response body"
	default:
		return "Whole exchange"
	}
}

// findings lists the report's issues, each with a link to its line.
func (h *halves) findings(n *names, r *validators.Report, base string) []views.Finding {
	if r == nil {
		return nil
	}
	out := make([]views.Finding, 0, min(len(r.Issues), listedFindings))
	for i := range r.Issues {
		if i == listedFindings {
			break
		}
		is, p := &r.Issues[i], h.byIssue[i]
		f := h.finding(n, is, i)
		f.Place = placeText(is, p)
		f.Href = base + "/findings"
		if p.half != nil {
			f.Href = base + "/" + p.half.key
			switch {
			case p.line >= 0:
				if part := p.half.partOf(p.line); part > 0 {
					f.Href += "?part=" + strconv.Itoa(part)
				}
				f.Href += "#" + lineID(p.half.layout.numberOf(p.line))
			case is.Line > 0 && p.half.body == nil:
				f.Href += "?finding=" + strconv.Itoa(i) + "#" + f.Key
			default:
				f.Href += "#" + f.Key
			}
		}
		out = append(out, f)
	}
	return out
}

func (x *half) partOf(line int) int {
	parts := x.layout.parts()
	i, found := slices.BinarySearch(parts, line)
	if found {
		return i
	}
	return i - 1
}

// message is the tab of one half.
func (h *halves) message(key string, v *views.Exchange, vr viewRequest) *views.Message {
	x := h.response
	m := &views.Message{Name: "Response"}
	if key == "request" {
		x = h.request
		m.Name = "Request"
		m.StartLine = visible([]byte(h.ex.Request.Method + " " + h.ex.Request.URL + " " + h.ex.Request.Proto))
		m.Curl = v.Curl
	} else if x != nil {
		m.StartLine = strings.TrimSpace(visible([]byte(x.msg.Proto)) + " " + statusLine(h.ex))
	}
	if x == nil {
		m.StartLine = "No response"
		m.Body = views.Body{Note: []views.Notice{{Class: "v-none", Title: "The server sent no response"}}}
		return m
	}
	var on []fieldFindings
	for i, f := range v.Findings {
		p := h.byIssue[i]
		if p.half != x || p.line >= 0 {
			continue
		}
		if p.header == "" {
			m.Loose = append(m.Loose, f)
			continue
		}
		at := slices.IndexFunc(on, func(o fieldFindings) bool { return strings.EqualFold(o.name, p.header) })
		if at < 0 {
			at = len(on)
			on = append(on, fieldFindings{name: p.header})
		}
		on[at].list = append(on[at].list, f)
	}
	m.Headers, m.Trailers = headerRows(x.msg.Header, on), headerRows(x.msg.Trailer, nil)
	m.Open = len(m.Loose)+len(on) > 0
	m.Body = x.view(v, vr)
	return m
}

// view is the body as the tab shows it.
func (x *half) view(v *views.Exchange, vr viewRequest) views.Body {
	b := views.Body{Label: views.Plural(int(x.msg.Body.Size), "byte", "bytes") + ", " + x.key + " body of exchange " + v.Number}
	if x.msg.Body.Empty() {
		b.Note = []views.Notice{{Class: "v-none", Title: "No body", Text: "The " + x.key + " has headers only."}}
		return b
	}
	b.Note = append(bodyNotices(x.msg.Body), x.body.notes...)
	b.Facts = []views.Fact{{Name: "Size", Value: views.Size(x.msg.Body.Size)}, {Name: "Content type", Value: visible([]byte(clip(x.msg.Header.Get("Content-Type"), 100)))}}
	if x.body.missing {
		return b
	}
	b.Download = "/api/v1/exchanges/" + url.PathEscape(v.ID) + "/" + x.key + "/body"
	self := v.Href + "/" + x.key
	for _, m := range []struct{ key, text string }{{"pretty", "Pretty"}, {"raw", "Raw"}, {"hex", "Hex"}} {
		b.Modes = append(b.Modes, views.Link{Text: m.text, Href: self + "?view=" + m.key, Current: x.mode == m.key})
	}
	b.Mode = x.mode
	part := vr.part
	if p := x.partOfFinding(vr.finding); p >= 0 {
		part = p
	}
	link := func(p int) string { return self + "?view=" + x.mode + "&part=" + strconv.Itoa(p) }
	if x.mode == "hex" {
		x.hex(&b, part, link)
		return b
	}
	if len(x.layout.lines) == 0 {
		return b
	}
	parts := x.layout.parts()
	part = max(0, min(part, len(parts)-1))
	from, to := parts[part], len(x.layout.lines)
	if part+1 < len(parts) {
		to = parts[part+1]
		b.More = link(part + 1)
	}
	if part > 0 {
		b.Before = link(part - 1)
	}
	if len(parts) > 1 {
		b.Shown = "Lines " + views.Count(x.layout.numberOf(from)) + " to " + views.Count(x.layout.numberOf(to-1)) + " of " + views.Count(x.layout.numberOf(len(x.layout.lines)-1))
	}
	if x.layout.cut {
		b.Note = append(b.Note, views.Notice{Class: "v-none", Title: "The rest is not shown", Text: "The body has more lines than a page can hold. The download has all of it."})
	}
	x.layout.all = v.Href + "/findings"
	x.showFirst(vr.finding)
	b.Blocks = x.layout.blocks(from, to, x.marks, true)
	if k := len(v.Findings); k > 0 {
		b.Stepper = &views.Stepper{Text: views.Plural(k, "finding", "findings"), Prev: v.Findings[k-1].Href, Next: v.Findings[0].Href}
	}
	return b
}

// showFirst puts a finding among those that are shown under its line.
func (x *half) showFirst(index int) {
	key := "f" + strconv.Itoa(index)
	for _, marks := range x.marks {
		if at := slices.IndexFunc(marks, func(m mark) bool { return m.finding.Key == key }); at >= calloutsPerLine {
			marks[0], marks[at] = marks[at], marks[0]
		}
	}
}

// partOfFinding is the part of the body with finding index, -1 for none.
func (x *half) partOfFinding(index int) int {
	if index < 0 || x.layout == nil {
		return -1
	}
	key := "f" + strconv.Itoa(index)
	for line, marks := range x.marks {
		if slices.ContainsFunc(marks, func(m mark) bool { return m.finding.Key == key }) {
			return x.partOf(line)
		}
	}
	return -1
}

// excerpt is the start of the response, or of the body where the worst finding is.
func (h *halves) excerpt(v *views.Exchange) *views.Message {
	x := h.response
	if len(v.Findings) > 0 && h.byIssue[0].half == h.request && h.byIssue[0].line >= 0 {
		x = h.request
	}
	if x == nil || x.body == nil || x.body.missing || x.layout == nil || len(x.layout.lines) == 0 {
		return nil
	}
	m := &views.Message{Name: strings.ToUpper(x.key[:1]) + x.key[1:]}
	if x == h.response {
		m.StartLine = statusLine(h.ex)
	}
	from := 0
	if p, ok := h.byIssue[0]; ok && p.half == x && p.line > excerptLines/2 {
		from = p.line - excerptLines/3
	}
	to := min(from+excerptLines, len(x.layout.lines))
	m.Body = views.Body{
		Mode: x.mode, Label: "Part of the " + x.key + " body of exchange " + v.Number, Note: x.body.notes,
		Shown: views.Size(x.msg.Body.Size),
	}
	for i := from; i < to; i++ {
		line := x.layout.line(i, x.marks[i], false)
		line.ID = "" // the page of the body owns the line ids
		if line.Mark.Class != "" {
			line.MarkHref = v.Href + "/" + x.key + "#" + lineID(x.layout.numberOf(i))
		}
		m.Body.Blocks = append(m.Body.Blocks, views.Block{Line: line})
	}
	if from > 0 || to < len(x.layout.lines) {
		m.Body.More = v.Href + "/" + x.key
	}
	return m
}
