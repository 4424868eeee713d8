package web

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
	"fhirwire/proxy"
	"fhirwire/web/api/apitest"
)

func TestZZPreview(t *testing.T) {
	if os.Getenv("PREVIEW") == "" {
		t.Skip()
	}
	store := apitest.NewStore()
	empty := apitest.NewStore()
	addPair(t, empty, "Harborlight Health Plan", "Cedar Mesa Mutual", true)
	demo(t, store)
	a := newServer(t, store, Options{Event: "September connectathon", ProxyURL: "http://127.0.0.1:8081", Clock: func() time.Time { return start.Add(4 * time.Minute) }})
	b := newServer(t, empty, Options{})
	if os.Getenv("PREVIEW") == "live" {
		go func() {
			for i := 0; ; i++ {
				time.Sleep(2 * time.Second)
				addExchange(store, fmt.Sprint("l", i), 220*time.Second, spec{path: "/fhir/metadata", channel: "harborlight~cedar", kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200, ms: 3})
				time.Sleep(500 * time.Millisecond)
				addReport(store, fmt.Sprint("l", i), nil)
			}
		}()
	}
	go http.ListenAndServe("127.0.0.1:18082", b.Handler())
	http.ListenAndServe("127.0.0.1:18081", a.Handler())
}
