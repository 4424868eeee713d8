package main

import (
	"context"
	"io"

	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/proxy/har"
)

// harExporter writes the evidence of a running serve.
type harExporter struct{ store *store.Store }

// ExportHAR implements api.Exporter.
func (e harExporter) ExportHAR(ctx context.Context, w io.Writer, filter proxy.Filter) error {
	channels, err := channelsOf(ctx, e.store, filter)
	if err != nil {
		return err
	}
	return har.Encode(ctx, w, selected(ctx, e.store, filter), e.store, har.Options{Version: version, Channels: channels})
}
