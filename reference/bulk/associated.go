package bulk

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// The values of includeAssociatedData; where both are given the less restrictive one holds.
const (
	latestProvenance   = "LatestProvenanceResources"
	relevantProvenance = "RelevantProvenanceResources"
)

// associate takes one value of includeAssociatedData.
func (o *order) associate(v string) bool {
	if v != latestProvenance && v != relevantProvenance {
		return false
	}
	if o.Associated != relevantProvenance {
		o.Associated = v
	}
	return true
}

// associated is what of all is Provenance of something that this export's files hold: with the latest, only the one most recently
// recorded for each. all is gone through twice.
func (r *run) associated(ctx context.Context, all iter.Seq2[resources.Resource, error]) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		held, err := r.written(ctx)
		if err != nil {
			yield(resources.Resource{}, err)
			return
		}
		if r.order.Associated == latestProvenance {
			for res, err := range all {
				if err == nil {
					err = r.provenance(ctx, res.Body, func(target string, at time.Time) {
						if best, ok := held[target]; ok && at.After(best) {
							held[target] = at
						}
					})
				}
				if err != nil {
					yield(res, err)
					return
				}
			}
		}
		for res, err := range all {
			keep := false
			if err == nil {
				err = r.provenance(ctx, res.Body, func(target string, at time.Time) {
					best, ok := held[target]
					keep = keep || ok && !at.Before(best)
				})
			}
			if (keep || err != nil) && !yield(res, err) {
				return
			}
		}
	}
}

// provenance tells each target and when it was recorded.
func (r *run) provenance(ctx context.Context, body []byte, do func(target string, at time.Time)) error {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	at, err := search.Instant(doc.Root().MemberText("recorded"))
	if err != nil {
		at = time.Time{} // not valid, and older than any other
	}
	param, ok := r.m.reg.Param("Provenance", "target")
	if !ok {
		return nil
	}
	refs, err := r.m.reg.References(ctx, doc.Root(), []*search.Param{param})
	for _, t := range refs {
		do(t.Qualifier+"/"+t.Key, at)
	}
	return err
}

// written is what the checkpointed files hold, as Type/id.
func (r *run) written(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := r.eachWritten(ctx, func(line []byte) {
		doc := fhirjson.Parse(bytes.TrimSpace(line))
		out[strings.Clone(doc.Root().ResourceType())+"/"+doc.Root().MemberText("id")] = time.Time{}
		doc.Release()
	})
	return out, err
}

// inOrder puts what is found through other files behind them: what the data refer to, and before that the Provenance of what is there.
func (o *order) inOrder() {
	rank := func(typ string) int {
		at := slices.Index(contextTypes, typ)
		switch {
		case typ == "Patient":
			return 0
		case typ == "Provenance" && o.Associated != "" && o.Level == System:
			return 3 + len(contextTypes) // there the others are found by themselves
		case typ == "Provenance" && o.Associated != "":
			return 2
		case at < 0:
			return 1
		default:
			return 3 + at
		}
	}
	slices.SortStableFunc(o.Types, func(a, b string) int { return rank(a) - rank(b) })
}
