package attribution

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// Consents is where refusals are kept; *resources.Store is the one.
type Consents interface {
	Settled() time.Time
	Stream(ctx context.Context, f resources.Filter) iter.Seq2[resources.Resource, error]
	Deleted(ctx context.Context, f resources.Filter) iter.Seq2[string, error]
}

// OptOuts knows the members who refused sharing: those with an active Consent whose provision denies (ATR-05). It reads what
// changed since it was last asked, so that an export can ask again before each of its parts (ATR-07). It is safe for concurrent
// use.
type OptOuts struct {
	src Consents

	mu   sync.Mutex
	upTo time.Time         // what was changed until then is in by
	by   map[string]string // Consent id to patient id
	out  map[string]bool   // the patients of by; replaced, never changed
	read time.Time         // when
}

// NewOptOuts makes an OptOuts that has read nothing yet.
func NewOptOuts(src Consents) *OptOuts { return &OptOuts{src: src, by: map[string]string{}} }

// Current gives the patients who are opted out now. The set is shared: do not change it.
func (o *OptOuts) Current(ctx context.Context) (map[string]bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refresh(ctx)
}

// recent is how old a set may be that only shapes what is shown.
const recent = time.Second

// Recent is Current, or what that was less than a second ago: for reads of lists, of which there may be many.
func (o *OptOuts) Recent(ctx context.Context, now time.Time) (map[string]bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if age := now.Sub(o.read); o.out != nil && age >= 0 && age < recent {
		return o.out, nil
	}
	out, err := o.refresh(ctx)
	if err == nil {
		o.read = now
	}
	return out, err
}

func (o *OptOuts) refresh(ctx context.Context) (map[string]bool, error) {
	now := o.src.Settled()
	f := resources.Filter{Type: "Consent", Since: o.upTo}
	next := maps.Clone(o.by)
	for c, err := range o.src.Stream(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("read opt-outs: %w", err)
		}
		delete(next, c.ID)
		if p := denied(c.Body); p != "" {
			next[c.ID] = p
		}
	}
	if !o.upTo.IsZero() {
		f.Until = now
		for id, err := range o.src.Deleted(ctx, f) {
			if err != nil {
				return nil, fmt.Errorf("read opt-outs: %w", err)
			}
			delete(next, id)
		}
	}
	o.upTo, o.by = now, next
	out := make(map[string]bool, len(next))
	for _, p := range next {
		out[p] = true
	}
	o.out = out
	return out, nil
}

// OptedOut tells about one patient.
func (o *OptOuts) OptedOut(ctx context.Context, patientID string) (bool, error) {
	all, err := o.Current(ctx)
	return all[patientID], err
}

// denied is the patient of a Consent that refuses, "" for any other.
func denied(body []byte) string {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	root := doc.Root()
	if root.MemberText("status") != "active" || root.Member("provision").MemberText("type") != "deny" {
		return ""
	}
	return string([]byte(patientID(root.Member("patient").MemberText("reference"))))
}
