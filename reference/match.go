package reference

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fhirwire/reference/attribution"
	"fhirwire/reference/bulk"
	"fhirwire/reference/directory"
	"fhirwire/reference/fhirapi"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/reference/synth"
	"fhirwire/validators/profile"
)

// keepMatches is how long a matched Group can be used (PMM-11).
const keepMatches = 30 * 24 * time.Hour

const (
	payerTask    = "bulk-member-match"
	providerTask = "provider-member-match"
)

// bulkMatcher answers the matches of many members: it stores the matched Group, which is for the client who asked.
type bulkMatcher struct {
	matcher *membermatch.Matcher
	asker   func(context.Context) string
	store   *resources.Store
	owners  *attribution.Owners
	payer   string
	clock   func() time.Time
	newID   func() string
}

// served is the matcher when the set of guides has the operations, nil otherwise: PDex 2.2 defines both on Group.
func (b *bulkMatcher) served(set *profile.Set) fhirapi.BulkMatcher {
	if slices.ContainsFunc(set.Packages(), func(id string) bool { return strings.HasPrefix(id, "hl7.fhir.us.davinci-pdex#2.2.") }) {
		return b
	}
	return nil
}

// matchOptions adds what the server knows: who asks, and by what else this plan is known, in its own data and in the directory.
func (o *Options) matchOptions() membermatch.Options {
	m := o.Match
	if m.Requester == nil {
		m.Requester = organizationOf
	}
	if len(m.Plan) == 0 {
		return m
	}
	values, files := m.Plan, o.Directory
	m.Plan = append(slices.Clone(values), "Organization/"+synth.PayerID)
	if m.Alias == nil && files != nil {
		m.Alias = func(name string) bool { return directory.Names(files, name, values) }
	}
	return m
}

func kindOf(provider bool) membermatch.Kind {
	if provider {
		return membermatch.Provider
	}
	return membermatch.Payer
}

// askerKey carries who asked to where a task runs, after the request is over.
type askerKey struct{}

// newBulkMatcher has a Matcher of its own: its guard against guessing is not that of the single match.
func newBulkMatcher(store *resources.Store, reg *search.Registry, owners *attribution.Owners, o Options) *bulkMatcher {
	opt := o.Match
	asker := opt.Requester
	opt.Requester = func(ctx context.Context) string {
		if s, ok := ctx.Value(askerKey{}).(string); ok {
			return s
		}
		return asker(ctx)
	}
	return &bulkMatcher{
		matcher: membermatch.New(lookup{store, reg}, o.Clock, opt), asker: asker,
		store: store, owners: owners, payer: "Organization/" + synth.PayerID, clock: o.Clock, newID: o.NewID,
	}
}

// Task names the task of bulk.Manager.
func (b *bulkMatcher) Task(ctx context.Context, provider bool) (name, asker string) {
	if provider {
		return providerTask, b.asker(ctx)
	}
	return payerTask, b.asker(ctx)
}

func (b *bulkMatcher) tasks() map[string]bulk.Task {
	return map[string]bulk.Task{payerTask: b.task(membermatch.Payer), providerTask: b.task(membermatch.Provider)}
}

// Check reads a request without answering it.
func (b *bulkMatcher) Check(provider bool, parameters []byte) (status int, answer []byte, members int, err error) {
	bundles, r, err := membermatch.ReadBundles(parameters, kindOf(provider))
	return r.Status, r.Body, len(bundles), err
}

// Match answers a provider at once.
func (b *bulkMatcher) Match(ctx context.Context, client string, parameters []byte) ([]byte, error) {
	id := b.newID()
	groups, err := b.groups(ctx, membermatch.Provider, id, client, parameters, b.clock())
	if err != nil {
		return nil, err
	}
	return groups.Parameters(membermatch.Provider, id)
}

// task writes the Groups as NDJSON and, for clients of PDex 2.1, the same in Parameters (P2P-BLK-111, PMM-09). The Groups' ids come
// from the job: what is done again after a restart replaces what was there.
func (b *bulkMatcher) task(kind membermatch.Kind) bulk.Task {
	return func(ctx context.Context, t bulk.TaskRun) error {
		groups, err := b.groups(context.WithValue(ctx, askerKey{}, t.Asker), kind, t.Job, t.Client, t.Body, t.At)
		if err != nil {
			return err
		}
		for _, g := range [][]byte{groups.Matched, groups.NotMatched, groups.Constrained} {
			if g == nil {
				continue
			}
			if err := t.Write("Group", g); err != nil {
				return err
			}
		}
		params, err := groups.Parameters(kind, "result-"+suffix(t.Job))
		if err != nil {
			return fmt.Errorf("answer of a match: %w", err)
		}
		return t.Write("Parameters", params)
	}
}

func suffix(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

func (b *bulkMatcher) groups(ctx context.Context, kind membermatch.Kind, id, client string, body []byte, at time.Time) (membermatch.Groups, error) {
	var none membermatch.Groups
	bundles, refused, err := membermatch.ReadBundles(body, kind)
	if err != nil {
		return none, err
	}
	if refused.Status != 0 {
		return none, fmt.Errorf("match of many: a stored request is refused: %s", http.StatusText(refused.Status))
	}
	members, err := b.matcher.MatchAll(ctx, bundles, kind)
	if err != nil {
		return none, err
	}
	group := "match-" + suffix(id)
	expires := at.Add(keepMatches)
	groups, err := membermatch.BuildGroups(members, membermatch.GroupOptions{Kind: kind, ID: group, Payer: b.payer, At: at, Expires: expires})
	if err != nil {
		return none, err
	}
	var terms []attribution.Term
	seen := map[string]bool{}
	for _, m := range members {
		if m.Bucket == membermatch.Matched && !seen[m.PatientID] {
			seen[m.PatientID] = true
			terms = append(terms, attribution.Term{Patient: m.PatientID, From: m.From, Until: m.Until, Sensitive: m.Sensitive})
		}
	}
	// The owner first: the Group is never there for everybody.
	if err := b.owners.Set(ctx, group, client, expires, terms); err != nil {
		return none, err
	}
	r, _, err := b.store.Put(ctx, "Group", group, groups.Matched, resources.PutOptions{})
	if err != nil {
		return none, fmt.Errorf("store the matched Group: %w", err)
	}
	groups.Matched = r.Body
	return groups, nil
}
