package views

import "strings"

// AllResults is every pair with every scenario.
type AllResults struct {
	Shell
	Tabs []Link
	// Exports lead to the sheet and the table of the runs.
	Exports []Link
	Filter  AllFilter
	// At is when the page was made, for print.
	At    string
	Empty *Empty
	Live  AllMatrix
}

// AllFilter chooses among tracks and systems.
type AllFilter struct {
	Tracks, Clients, Servers []Option
	// Clear shows everything again; empty when everything is shown.
	Clear string
}

// Said is what is chosen, for print; empty when everything is shown.
func (f AllFilter) Said() string {
	var said strings.Builder
	for _, list := range [][]Option{f.Tracks, f.Clients, f.Servers} {
		for _, o := range list {
			if o.Selected && o.Value != "" {
				said.WriteString(o.Text + ". ")
			}
		}
	}
	return said.String()
}

// AllMatrix is the part of the page that is read again while traffic arrives.
type AllMatrix struct {
	Self   string
	Say    string
	Counts []Tally
	Note   string
	Tracks []TrackMatrix
	Empty  *Empty
	// Key holds the legend.
	Key Matrix
}

// TrackMatrix is the pairs of a track in rows and its scenarios in columns.
type TrackMatrix struct {
	ID, Name string
	Plans    []Link
	Rows     []PairRow
	Totals   [][]Tally
}

// PairRow is a client and a server with their cells and what was observed.
type PairRow struct {
	Client, Server string
	Cells          []Cell
	Total          []Tally
}
