package store_test

import (
	"fmt"
	"testing"

	"fhirwire/internal/store"
	"fhirwire/internal/store/storetest"
	"fhirwire/proxy"
	"fhirwire/validators"
)

// filled is a store of n exchanges over five channels, every tenth with a finding, the last hundred unjudged.
func filled(b *testing.B, n int) *store.Store {
	b.Helper()
	s := openSQLite(b)
	bodies := storetest.Bodies{}
	for i := 1; i <= n; i++ {
		e := storetest.Exchange(i, bodies)
		e.Channel = fmt.Sprintf("client-%d~diamond-payer", i%5)
		if i%7 == 0 {
			e.Response.Status = 404
		}
		if i%3 == 0 {
			e.Interaction = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Coverage"}
		}
		if err := s.Put(b.Context(), e, bodies); err != nil {
			b.Fatal(err)
		}
		clear(bodies)
		var issues []validators.Issue
		if i%10 == 0 {
			issues = append(issues, storetest.Issue(validators.SeverityError, "dom-6"))
		}
		if i > n-100 {
			continue
		}
		if err := s.SaveReport(b.Context(), storetest.Report(i, validators.RulesVersion, issues...)); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkList(b *testing.B) {
	s := filled(b, 10_000)
	for _, filter := range []string{
		"", "channel:client-1~diamond-payer", "status:404", "type:Coverage status:>=400", "finding:error", "rule:dom-6", "verdict:pass",
		"profile:Patient", "finding:pending", "nothing-like-this", "Patient/p99",
	} {
		f, errs := proxy.ParseFilter(filter)
		if len(errs) > 0 {
			b.Fatal(errs)
		}
		b.Run("filter="+filter, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Exchanges(b.Context(), proxy.Query{Filter: f, Limit: 100, Before: 5000}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("summaries of a page", func(b *testing.B) {
		page, err := s.Exchanges(b.Context(), proxy.Query{Limit: 100, Before: 5000})
		if err != nil {
			b.Fatal(err)
		}
		var ids []string
		for _, e := range page.Exchanges {
			ids = append(ids, e.ID)
		}
		for b.Loop() {
			if _, err := s.Summaries(b.Context(), ids); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Counts(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openSQLite(b)
			b.ReportAllocs()
			next := make(chan int)
			done := make(chan error, writers)
			for range writers {
				go func() {
					for n := range next {
						bodies := storetest.Bodies{}
						if err := s.Put(b.Context(), storetest.Exchange(n, bodies), bodies); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			n := 0
			for b.Loop() {
				n++
				next <- n
			}
			close(next)
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

func BenchmarkChannelByName(b *testing.B) {
	s := openSQLite(b)
	client := &proxy.System{Slug: "a", Name: "A", Roles: []proxy.Role{proxy.RoleClient}}
	server := &proxy.System{Slug: "b", Name: "B", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "http://h/fhir"}
	for _, sys := range []*proxy.System{client, server} {
		if err := s.SaveSystem(b.Context(), sys); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.SaveChannel(b.Context(), &proxy.Channel{ClientID: client.ID, ServerID: server.ID}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ChannelByName(b.Context(), "a~b"); err != nil {
			b.Fatal(err)
		}
	}
}
