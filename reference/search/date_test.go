package search

import (
	"testing"
	"time"
)

func TestDateRange(t *testing.T) {
	ms := func(s string) int64 {
		v, err := time.Parse("2006-01-02T15:04:05.000Z07:00", s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMilli()
	}
	for _, tt := range []struct{ in, lo, hi string }{
		{"2020", "2020-01-01T00:00:00.000Z", "2020-12-31T23:59:59.999Z"},
		{"2020-02", "2020-02-01T00:00:00.000Z", "2020-02-29T23:59:59.999Z"},
		{"2020-12-31", "2020-12-31T00:00:00.000Z", "2020-12-31T23:59:59.999Z"},
		{"2020-02-03T04:05Z", "2020-02-03T04:05:00.000Z", "2020-02-03T04:05:59.999Z"},
		{"2020-02-03T04:05:06+02:00", "2020-02-03T02:05:06.000Z", "2020-02-03T02:05:06.999Z"},
		{"2020-02-03T04:05:06-05:30", "2020-02-03T09:35:06.000Z", "2020-02-03T09:35:06.999Z"},
		{"2020-02-03T04:05:06.7Z", "2020-02-03T04:05:06.700Z", "2020-02-03T04:05:06.799Z"},
		{"2020-02-03T04:05:06.78Z", "2020-02-03T04:05:06.780Z", "2020-02-03T04:05:06.789Z"},
		{"2020-02-03T04:05:06.7891Z", "2020-02-03T04:05:06.789Z", "2020-02-03T04:05:06.789Z"},
		{"2020-02-03T04:05:06", "2020-02-03T04:05:06.000Z", "2020-02-03T04:05:06.999Z"},
		{"0001-01-01", "0001-01-01T00:00:00.000Z", "0001-01-01T23:59:59.999Z"},
	} {
		lo, hi, err := dateRange(tt.in)
		if err != nil || lo != ms(tt.lo) || hi != ms(tt.hi) {
			t.Errorf("%s: %v to %v, error %v", tt.in, time.UnixMilli(lo).UTC(), time.UnixMilli(hi).UTC(), err)
		}
	}
	for _, bad := range []string{"", "20", "2020-", "2020-13", "2020-00", "2020-1", "2020-02-30", "2019-02-29", "2020-02-3", "2020T10:00", "2020-01-01T", "2020-01-01T1", "2020-01-01T25:00Z", "2020-01-01T10:60Z", "2020-01-01T10:00:61Z", "2020-01-01T10:00:00.Z", "2020-01-01T10:00:00,5Z", "2020-01-01T10:00+1", "2020-01-01T10:00+15:00", "2020-01-01 10:00", "yesterday"} {
		if lo, hi, err := dateRange(bad); err == nil {
			t.Errorf("%q is taken for %d to %d", bad, lo, hi)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"Von": "von", "  a \t b ": "a b", "Ñandú": "nandu", "": "", "ÅÅ": "aa", "Straße": "straße", "\u0000": "\u0000", " ": "",
	} {
		if got := fold(in); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDecimalRange(t *testing.T) {
	for _, tt := range []struct {
		in      string
		low, up float64
	}{
		{"100", 99.5, 100.5}, {"1.00", 0.995, 1.005}, {"-5", -5.5, -4.5}, {"1e2", 50, 150}, {"1.0e2", 95, 105}, {"0", -0.5, 0.5},
	} {
		_, lo, hi, ok := decimalRange(tt.in)
		if !ok || lo-tt.low > 1e-9 || tt.low-lo > 1e-9 || hi-tt.up > 1e-9 || tt.up-hi > 1e-9 {
			t.Errorf("%s: %v to %v, %v", tt.in, lo, hi, ok)
		}
	}
	for _, bad := range []string{"", "x", "NaN", "Inf", "0x1p3", "1_0", "1e999"} {
		if v, _, _, ok := decimalRange(bad); ok {
			t.Errorf("%q is taken for %v", bad, v)
		}
	}
}

func TestAlternatives(t *testing.T) {
	const src = `AllergyIntolerance.code | (Goal.target.due as date) | Condition.onset.as(dateTime)|Condition.onset.as(Period) | (Observation.value as Quantity).value | Group.characteristic.where(a = 'x | y').value`
	for typ, want := range map[string][]string{
		"Goal":        {"Goal.target.due.ofType(date)"},
		"Condition":   {"Condition.onset.ofType(dateTime)", "Condition.onset.ofType(Period)"},
		"Observation": {"Observation.value.ofType(Quantity).value"},
		"Group":       {"Group.characteristic.where(a = 'x | y').value"},
		"Patient":     nil,
	} {
		got := alternatives(src, typ)
		if len(got) != len(want) {
			t.Errorf("%s: %q", typ, got)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %q, want %q", typ, got, want)
			}
		}
	}
}
