package main

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backlogTimeout bounds the count of what waits, so that whoever watches the process is not kept waiting by a busy database.
const backlogTimeout = 2 * time.Second

// backlog tells how far judging is behind recording. What cannot be counted in time is no number.
func (a *app) backlog() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fhirwire_exchanges_waiting", Help: "Recorded exchanges that have not been judged yet.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
		defer cancel()
		n, err := a.pipeline.Backlog(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	})
}
