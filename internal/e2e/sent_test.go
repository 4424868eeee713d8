//go:build e2e

package e2e

import "strings"

// through is how many requests did not go to the collection's own server.
func (r newmanRun) through() (n int) {
	for _, e := range r.Run.Executions {
		if strings.Join(e.Request.URL.Host, ".") != "localhost" || e.Request.URL.Port != "4567" {
			n++
		}
	}
	return n
}
