package views

// ConnectionCheck is the page of a channel's connection check.
type ConnectionCheck struct {
	Shell
	Pair, Name string
	Parts      []Link // the channel's pages
	Action     string // form action that checks
	Back       string
	// At says when the last check was; empty: there was none.
	At      string
	Summary Notice
	Legs    []CheckedLeg
	Empty   *Empty
}

// CheckedLeg is what was found on one leg.
type CheckedLeg struct {
	ID, Title string
	Probes    []Probe
}

// Probe is one thing that was looked at.
type Probe struct {
	Mark        Mark
	Title, Text string
	// Who must do what; empty where nobody has to.
	Who, Action  string
	Took         string
	Certificates []Certificate
}

// Certificate is a certificate in a few lines.
type Certificate struct {
	Title string
	Facts []Fact
}
