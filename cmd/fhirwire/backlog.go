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

// lost counts what was forwarded and could not be kept.
func (a *app) lost() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "fhirwire_exchanges_lost_total", Help: "Exchanges that were forwarded and could be neither stored nor journaled.",
	}, func() float64 { return float64(a.recorder.Lost()) })
}
