package proxy

import "time"

// ConnectionCheck is what a look at a channel's two legs found, before or between exchanges. It is no evidence: nothing of it is
// recorded.
type ConnectionCheck struct {
	// Channel is its name; empty for a server that is not registered.
	Channel   string    `json:"channel,omitempty"`
	ServerURL string    `json:"server_url"`
	ProxyURL  string    `json:"proxy_url,omitempty"`
	At        time.Time `json:"at"`
	Probes    []Probe   `json:"probes"`
}

// Probe is one thing that was looked at.
type Probe struct {
	// ID is stable: "server-tls", "client-seen", "auxiliary-auth-name".
	ID string `json:"id"`
	// Leg is "client" (client to proxy) or "server" (proxy to server).
	Leg   string `json:"leg"`
	Title string `json:"title"`
	// Outcome says how it went.
	Outcome ProbeOutcome `json:"outcome"`
	// Text is what was found, in plain words.
	Text string `json:"text"`
	// Side must act ("client", "server" or "proxy") and Action says how; both are empty where nobody has to.
	Side   string `json:"side,omitempty"`
	Action string `json:"action,omitempty"`
	// Certificates are those that the peer presented, leaf first.
	Certificates []Certificate `json:"certificates,omitempty"`
	Took         time.Duration `json:"took_ns,omitempty"`
}

// ProbeOutcome is how a probe went.
type ProbeOutcome string

// The outcomes.
const (
	ProbeOK         ProbeOutcome = "ok"
	ProbeWarning    ProbeOutcome = "warning"     // works, or nobody needs it, yet somebody should know
	ProbeProblem    ProbeOutcome = "problem"     // exchanges will fail
	ProbeNotChecked ProbeOutcome = "not-checked" // could not be looked at, mostly since an earlier probe failed
)

// Worst is the outcome that decides: problem, then warning, then not-checked, then ok.
func (c *ConnectionCheck) Worst() ProbeOutcome {
	rank := map[ProbeOutcome]int{ProbeOK: 0, ProbeNotChecked: 1, ProbeWarning: 2, ProbeProblem: 3}
	worst := ProbeOK
	for i := range c.Probes {
		if rank[c.Probes[i].Outcome] > rank[worst] {
			worst = c.Probes[i].Outcome
		}
	}
	return worst
}
