package reference_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
)

func open(b *testing.B) *reference.Server {
	b.Helper()
	dir := b.TempDir()
	db, ref := openServer(b, filepath.Join(dir, "ref.db"), dir)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return ref
}

// BenchmarkLoad reports resources per second, index included.
func BenchmarkLoad(b *testing.B) {
	var all []synth.Resource
	for r := range synth.New(synth.Options{Seed: 1, Members: 100}).All() {
		all = append(all, r)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		b.StopTimer()
		ref := open(b)
		b.StartTimer()
		_, err := ref.Seed(b.Context(), func(yield func(synth.Resource) bool) {
			for _, r := range all {
				if !yield(r) {
					return
				}
			}
		}, resources.LoadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		n += len(all)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "resources/s")
}

func BenchmarkRequests(b *testing.B) {
	ref := open(b)
	if _, err := ref.Seed(b.Context(), synth.New(synth.Options{Seed: 1, Members: 300}).All(), resources.LoadOptions{}); err != nil {
		b.Fatal(err)
	}
	h := ref.Handler()
	for _, tt := range []struct{ name, path string }{
		{"read", "/fhir/Patient/999"},
		{"patient+category", "/fhir/Observation?patient=999&category=laboratory&_count=10"},
		{"identifier", "/fhir/Patient?identifier=99999"},
		{"name+gender", "/fhir/Patient?name=Von&gender=male"},
		{"code", "/fhir/Observation?code=http://loinc.org|29463-7&_count=10"},
		{"everything", "/fhir/Patient/999/$everything?_count=50"},
		{"metadata", "/fhir/metadata"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, tt.path, nil)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body.String())
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkParallel is the mix of the target: reads and simple searches on all cores.
func BenchmarkParallel(b *testing.B) {
	ref := open(b)
	if _, err := ref.Seed(b.Context(), synth.New(synth.Options{Seed: 1, Members: 300}).All(), resources.LoadOptions{}); err != nil {
		b.Fatal(err)
	}
	h := ref.Handler()
	paths := []string{"/fhir/Patient/999", "/fhir/Condition?patient=999", "/fhir/Patient?identifier=99999", "/fhir/Observation?patient=999&category=laboratory&_count=10"}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, paths[i%len(paths)], nil))
			if w.Code != http.StatusOK {
				b.Error(w.Code, w.Body.String())
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkExport reports resources per second from kick-off to the finished manifest.
func BenchmarkExport(b *testing.B) {
	ref := open(b)
	report, err := ref.Seed(b.Context(), synth.New(synth.Options{Seed: 1, Members: 300}).All(), resources.LoadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- ref.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	h := ref.Handler()
	for _, tt := range []struct{ name, path string }{
		{"patients", "Patient/$export"}, {"group", "Group/group-all-members/$export"}, {"data-export", "Group/group-all-members/$davinci-data-export"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				export(b, h, "http://x/fhir/"+tt.path)
			}
			b.ReportMetric(float64(b.N*report.Created)/b.Elapsed().Seconds(), "resources/s")
		})
	}
	b.Log(fmt.Sprint(report.Created, " resources"))
}

// export runs one to its manifest.
func export(b *testing.B, h http.Handler, url string) {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	r.Header.Set("Prefer", "respond-async")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	status := w.Header().Get("Content-Location")
	for {
		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, status, nil))
		if w.Code == http.StatusOK {
			return
		}
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Code, w.Body.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}
