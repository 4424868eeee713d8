package proxy

import "time"

// Filter selects exchanges: all terms must hold. The zero Filter selects everything. ParseFilter reads its text form.
type Filter struct {
	Terms []Term
}

// Term is one condition of a Filter.
type Term struct {
	Key Key
	// Not inverts the term ("-status:404").
	Not bool
	// Op compares, for keys with numbers and sizes; OpEq for all others.
	Op Op
	// Values are alternatives ("type:Patient,Coverage"), at least one, as typed; * stands for any characters where the key
	// takes names. Comparisons have exactly one.
	Values []string
}

// Key is a filter's word before the colon.
type Key string

// The keys.
const (
	KeyText    Key = "text" // bare words: part of the URL
	KeyType    Key = "type"
	KeyOp      Key = "op"
	KeyKind    Key = "kind"
	KeyStatus  Key = "status"
	KeyMethod  Key = "method"
	KeyClient  Key = "client"
	KeyServer  Key = "server"
	KeyChannel Key = "channel"
	KeyVerdict Key = "verdict"
	KeyFinding Key = "finding"
	KeyRule    Key = "rule"
	KeyProfile Key = "profile"
	KeySide    Key = "side"
	KeyFailure Key = "failure"
	KeyTrust   Key = "trust" // what the server's certificate was accepted on
	KeyID      Key = "id"
	KeyNumber  Key = "number"
	KeySince   Key = "since"
	KeyUntil   Key = "until"
	KeySize    Key = "size"
	KeyMS      Key = "ms"
)

// Op is a comparison.
type Op string

// The comparisons.
const (
	OpEq Op = "="
	OpLt Op = "<"
	OpLe Op = "<="
	OpGt Op = ">"
	OpGe Op = ">="
)

// FilterError is a term that ParseFilter could not take; the other terms still apply.
type FilterError struct {
	// Pos and End are the term's byte range in the text.
	Pos, End int
	// Problem says what is wrong, for example `unknown word "stauts"`.
	Problem string
	// Suggestion is a term to use instead ("status:400"), empty when we have none.
	Suggestion string
}

func (e FilterError) Error() string {
	if e.Suggestion == "" {
		return e.Problem
	}
	return e.Problem + "; did you mean " + e.Suggestion + "?"
}

// Empty reports that the filter selects everything.
func (f Filter) Empty() bool { return len(f.Terms) == 0 }

// Moment is the time that a since or until value means, seen from now: an RFC 3339 time, "2006-01-02",
// "2006-01-02T15:04", a time of day "15:04" (today, in now's zone) or an age such as "10m", "2h", "3d". The second result
// is false for anything else.
func Moment(value string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t, true
	}
	for _, form := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(form, value, now.Location()); err == nil {
			return t, true
		}
	}
	if t, err := time.Parse("15:04", value); err == nil {
		y, m, d := now.Date()
		return time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, now.Location()), true
	}
	if d, ok := age(value); ok {
		return now.Add(-d), true
	}
	return time.Time{}, false
}

func age(s string) (time.Duration, bool) {
	days := 24 * time.Hour
	if n := len(s); n > 1 && s[n-1] == 'd' {
		v, err := time.ParseDuration(s[:n-1] + "h")
		if err != nil || v < 0 || v > 36500*time.Hour {
			return 0, false
		}
		return v * (days / time.Hour), true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}
