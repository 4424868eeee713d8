package search

// Query is a search of one resource type, ready to be planned. It is immutable once parsed.
type Query struct {
	Type    string
	Clauses []Clause // all must hold
	Sort    []Sort
	// Count is the page size asked for, -1 when not given. 0 asks for the total alone.
	Count       int
	Includes    []Include
	RevIncludes []Include
	Total       Total
	Summary     Summary
	Elements    []string
	// Applied are the parameters that took effect, in order: what the self link says.
	Applied []Pair
	// Ignored are the ones that did not, in lenient handling.
	Ignored []Ignored
	// Notes tell the client what was done otherwise than it may think.
	Notes []string
}

// Pair is one query parameter, decoded.
type Pair struct{ Name, Value string }

// Ignored is a parameter the search was done without.
type Ignored struct{ Name, Reason string }

// Modifier is the part behind the colon of a parameter name.
type Modifier string

// The modifiers understood. A type modifier on a reference ("subject:Patient") becomes part of the Alternative.
const (
	Plain      Modifier = ""
	Exact      Modifier = "exact"
	Contains   Modifier = "contains"
	Missing    Modifier = "missing"
	Not        Modifier = "not"
	Identifier Modifier = "identifier"
	OfType     Modifier = "of-type"
	Below      Modifier = "below"
	Above      Modifier = "above"
)

// Clause is one parameter with its alternatives, of which one must hold (none with the modifier Not).
type Clause struct {
	Param    *Param
	Modifier Modifier
	// Absent is the value of the modifier Missing.
	Absent bool
	Alts   []Alternative
	// Chain replaces Alts for a chained parameter: the target must be one of these.
	Chain []Chained
	// Has replaces everything else: a resource that refers to the match must fulfil it.
	Has *Reverse
}

// Reverse is what a resource has to be like that refers to the match: "_has".
type Reverse struct {
	Type string
	// Param of Type is the reference to the match.
	Param *Param
	// Clauses must hold of one such resource.
	Clauses []Clause
}

// Chained is what a reference's target of a type must fulfil.
type Chained struct {
	Type   string
	Clause Clause
}

// Alternative is one value of a clause in normal form.
type Alternative struct {
	Prefix Prefix
	// Key is the index key: code, folded text, id or url. AnyKey asks for the qualifier alone ("system|").
	Key    string
	AnyKey bool
	// Qualifier is a token's system, a reference's type or the text as written; meant only when Qualified ("|code" is
	// qualified by no system).
	Qualifier string
	Qualified bool
	// Lo and Hi are a date's span in Unix milliseconds, both inclusive.
	Lo, Hi int64
	// Value, Low and High are a number and the span of its precision; System and Code a quantity's unit.
	Value, Low, High float64
	System, Code     string
}

// Prefix is a comparison.
type Prefix string

// The prefixes.
const (
	Eq Prefix = "eq"
	Ne Prefix = "ne"
	Gt Prefix = "gt"
	Lt Prefix = "lt"
	Ge Prefix = "ge"
	Le Prefix = "le"
	Sa Prefix = "sa"
	Eb Prefix = "eb"
	Ap Prefix = "ap"
)

// Sort is one sort key.
type Sort struct {
	Param      *Param
	Descending bool
}

// Include is one _include or _revinclude.
type Include struct {
	// Source is the type that holds the reference.
	Source string
	// Params are the reference parameters to follow, more than one for a wildcard.
	Params []*Param
	// Target narrows to references to this type, "" for any.
	Target string
	// Iterate follows the references of included resources too.
	Iterate bool
}

// Total says how a total is wanted.
type Total string

// The totals.
const (
	TotalDefault  Total = ""
	TotalNone     Total = "none"
	TotalEstimate Total = "estimate"
	TotalAccurate Total = "accurate"
)

// Summary is the _summary asked for.
type Summary string

// The summaries.
const (
	SummaryNone  Summary = ""
	SummaryTrue  Summary = "true"
	SummaryText  Summary = "text"
	SummaryData  Summary = "data"
	SummaryCount Summary = "count"
)

// Error is a parameter that cannot be processed. Code is from FHIR's IssueType.
type Error struct {
	Name    string
	Code    string
	Message string
}

func (e *Error) Error() string { return "search parameter " + e.Name + ": " + e.Message }
