package testplans

import "fmt"

// Unverified counts the exchanges that decided something in results while the server's certificate was not verified. Of results that
// point at more than MaxEvidence exchanges it may count too few, but never none.
func Unverified(results []Result) int {
	seen, most := map[string]bool{}, 0
	for i := range results {
		most = max(most, results[i].Insecure)
		for _, e := range results[i].Evidence {
			if e.Insecure {
				seen[e.Exchange] = true
			}
		}
	}
	return max(most, len(seen))
}

// SayUnverified is the sentence for a report, empty for none.
func SayUnverified(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "The server's certificate was not verified in 1 of the exchanges that decided."
	default:
		return fmt.Sprintf("The server's certificate was not verified in %d of the exchanges that decided.", n)
	}
}
