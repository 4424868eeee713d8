package views

// Findings is all findings grouped by cause.
type Findings struct {
	Shell
	Summary           string
	Counts            []Tally
	Severities, Sides []Link
	Groups            []FindingGroup
	Cut               string // causes that are not shown
	Empty             *Empty
}

// FindingGroup is what one cause made again and again.
type FindingGroup struct {
	ID        string
	Finding   Finding
	Path      string
	Times     string
	TimesWord string // "times"
	Exchanges string
	Places    []FindingPlace
	Similar   string // the list of exchanges with it
	Ticket    string // Markdown
}

// FindingPlace is one of the places of a group.
type FindingPlace struct{ Exchange, Href, Resource, Path, When string }
