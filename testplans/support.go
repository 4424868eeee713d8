package testplans

// Supported is how much of what a profile marks must-support was seen in recorded traffic.
type Supported struct {
	Profile string `json:"profile"` // with |version
	Type    string `json:"type"`
	Package string `json:"package,omitempty"`
	// Resources counts those that were held against the profile.
	Resources int             `json:"resources"`
	Items     []SupportedItem `json:"items"`
}

// SupportedItem is an element, slice, choice or extension that a profile wants supported.
type SupportedItem struct {
	// ID is the element's in the profile; URL an extension's.
	ID       string `json:"id"`
	URL      string `json:"url,omitempty"`
	Kind     string `json:"kind"`
	Required bool   `json:"required,omitempty"`
	// Verdict is pass for what was seen, not-shown for what was not, and not-checked where that cannot be told, which Note explains.
	Verdict Verdict `json:"verdict"`
	Note    string  `json:"note,omitempty"`
	// First is where it was seen first: the exchange, and the place in its response.
	First   *Evidence `json:"first,omitempty"`
	Pointer string    `json:"pointer,omitempty"`
	Line    int       `json:"line,omitempty"`
}

// Seen counts the items that were seen.
func (s *Supported) Seen() int {
	n := 0
	for i := range s.Items {
		if s.Items[i].Verdict == Pass {
			n++
		}
	}
	return n
}
