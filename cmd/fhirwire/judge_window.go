package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// vetWindow refuses a window that nothing can be in.
func vetWindow(run testplans.Run) error {
	if !run.Since.IsZero() && !run.Until.IsZero() && !run.Since.Before(run.Until) {
		return usagef("--until: the window ends before it begins; ages count back from now, so --since has the longer one")
	}
	return nil
}

// note counts what the run is over, so that verdicts on nothing at all are not taken for verdicts on the traffic.
func (j *judgement) note(ex *proxy.Exchange) {
	if ex.Channel != "" {
		if j.names == nil {
			j.names = map[string]bool{}
		}
		j.names[ex.Channel] = true
	}
	start := ex.Timing.Start
	if (j.run.Channel == "" || ex.Channel == j.run.Channel) && !start.Before(j.run.Since) && (j.run.Until.IsZero() || start.Before(j.run.Until)) {
		j.inside++
	}
}

// vetRead refuses a file of which nothing is of the channel that was asked for.
func (j *judgement) vetRead() error {
	switch {
	case j.read == 0:
		return errors.New("har: the file has no exchanges")
	case j.run.Channel != "" && len(j.names) == 0:
		return errors.New("channel: the file names none for its exchanges; leave out --channel")
	case j.run.Channel != "" && !j.names[j.run.Channel]:
		return fmt.Errorf("channel: none of the file's exchanges is of %q; there is %s", j.run.Channel, strings.Join(slices.Sorted(maps.Keys(j.names)), ", "))
	}
	return nil
}

// sayEmptyWindow tells why nothing is shown.
func (j *judgement) sayEmptyWindow() {
	if j.inside == 0 && j.read > 0 && !(j.run.Since.IsZero() && j.run.Until.IsZero()) {
		_, _ = fmt.Fprintf(j.p.stderr, "fhirwire judge: none of the %d exchanges began in the window\n", j.read)
	}
}
