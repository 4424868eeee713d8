package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/internal/live"
	"fhirwire/internal/scenarios"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/internal/store/storetest"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// searching selects everything that recorded puts on the channel, by its body, its report and what was captured.
var searching = testplans.Plan{
	ID: "search", Title: "Search", Track: "T", Digest: "d",
	Steps: []testplans.Step{
		{
			ID: "first", Claim: "A patient is read", Select: testplans.Select{Kind: []string{"read"}, Type: []string{"Patient"}},
			Capture: []testplans.Capture{{Name: "patient", From: testplans.OnResponse, FHIRPath: "id"}},
			Checks:  []testplans.Check{{ID: "ok", Every: true, Side: validators.SideServer, Status: []string{"200"}}, {ID: "clean", Side: validators.SideServer, Findings: &testplans.FindingsCheck{}}},
		},
		{
			ID: "known", Claim: "It has an id", Select: testplans.Select{Kind: []string{"read"}, Response: "id.exists()"},
			Checks: []testplans.Check{{ID: "id", Side: validators.SideServer, FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnResponse, Expr: "id.exists()"}}},
		},
	},
}

// recorded is a store with n exchanges of a channel, each with a body and a report, and a service on it.
func recorded(b *testing.B, n int) (*store.Store, *live.Hub, *scenarios.Service) {
	b.Helper()
	dir := b.TempDir()
	db, err := sqldb.Open(b.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	files, err := blobs.OpenDir(filepath.Join(dir, "blobs"), blobs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(b.Context(), db, files, store.Options{Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	client := &proxy.System{Slug: "acme-ehr", Name: "Acme", Roles: []proxy.Role{proxy.RoleClient}}
	server := &proxy.System{Slug: "diamond-payer", Name: "Diamond", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "http://payer.example/fhir"}
	for _, s := range []*proxy.System{client, server} {
		if err := st.SaveSystem(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.SaveChannel(b.Context(), &proxy.Channel{Name: "acme-ehr~diamond-payer", ClientID: client.ID, ServerID: server.ID}); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		put(b, st, i)
	}
	hub := live.NewHub()
	source := scenarios.Source{Exchanges: st, Reports: st, Bodies: st}
	s, err := scenarios.New([]testplans.Plan{searching}, source, st, st, checks.NewTable(nil), scenarios.Options{Publisher: hub, Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	return st, hub, s
}

func put(b *testing.B, st *store.Store, i int) *proxy.Exchange {
	b.Helper()
	bodies := storetest.Bodies{}
	ex := storetest.Exchange(i, bodies)
	if err := st.Put(b.Context(), ex, bodies); err != nil {
		b.Fatal(err)
	}
	if err := st.SaveReport(b.Context(), storetest.Report(i, validators.RulesVersion)); err != nil {
		b.Fatal(err)
	}
	return ex
}

// exchanges is how many are recorded before: FHIRWIRE_BENCH_EXCHANGES, or few.
func exchanges(few int) int {
	if v, err := strconv.Atoi(os.Getenv("FHIRWIRE_BENCH_EXCHANGES")); err == nil {
		return v
	}
	return few
}

// BenchmarkVerdict is from an exchange that is stored beside others (2,000 unless FHIRWIRE_BENCH_EXCHANGES says) to the notice that its
// verdict is.
func BenchmarkVerdict(b *testing.B) {
	n := exchanges(2000)
	st, hub, s := recorded(b, n)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx, hub); close(ended) }()
	if _, err := s.Judge(ctx, "search", "acme-ehr~diamond-payer"); err != nil {
		b.Fatal(err)
	}
	heard := hub.Subscribe(ctx, 1000)
	time.Sleep(time.Second)
	b.ReportAllocs()
	for i := n; b.Loop(); i++ {
		ex := put(b, st, i)
		hub.Publish(live.Notice{Kind: live.KindReport, ID: ex.ID, Number: ex.Number})
		for notice := range heard {
			if notice.Kind == live.KindVerdict {
				break
			}
		}
	}
	b.StopTimer()
	stop()
	<-ended
}

// BenchmarkRecompute judges a channel from nothing: FHIRWIRE_BENCH_EXCHANGES of them, 5,000 unless it says.
func BenchmarkRecompute(b *testing.B) {
	n := exchanges(5000)
	_, _, s := recorded(b, n)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		s.Forget()
		j, err := s.Judge(b.Context(), "search", "acme-ehr~diamond-payer")
		if err != nil || j.Exchanges != n {
			b.Fatal(j.Exchanges, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/exchange")
}
