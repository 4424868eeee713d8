package value_test

import (
	"errors"
	"strings"
	"testing"

	"fhirwire/validators/fhirpath/value"
)

func decimal(t *testing.T, s string) value.Decimal {
	t.Helper()
	d, err := value.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecimal(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0.0": "0.0", "1.50": "1.50", "-12.5": "-12.5", "1e3": "1000", "1.5E2": "150", "1.25e1": "12.5", "12e-3": "0.012", "0.0034": "0.0034",
		"123456789012345678901234567890.10": "123456789012345678901234567890.10", "9223372036854775807": "9223372036854775807", "9223372036854775808": "9223372036854775808",
	} {
		if got := decimal(t, in).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{"", "-", ".", "1.", ".5", "1e", "1e99999999", "abc", "1.2.3", "0x10", "1e+-2"} {
		if d, err := value.ParseDecimal(in); err == nil {
			t.Errorf("%q is read as %s", in, d)
		}
	}
}

func TestDecimalOrder(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"1.10", "1.1", 0},
		{"1", "1.0000000001", -1},
		{"-1", "1", -1},
		{"9223372036854775807", "9223372036854775807.5", -1},
		{"123456789012345678901234567890", "123456789012345678901234567889.9", 1},
		{"0.000000000000000000001", "0", 1},
	} {
		a, b := decimal(t, tt.a), decimal(t, tt.b)
		if a.Cmp(b) != tt.want || b.Cmp(a) != -tt.want {
			t.Errorf("%s against %s: %d and %d, want %d", a, b, a.Cmp(b), b.Cmp(a), tt.want)
		}
	}
}

func dateTime(t *testing.T, s string) value.DateTime {
	t.Helper()
	d, err := value.ParseDateTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTemporal(t *testing.T) {
	for _, in := range []string{"2015", "2015-02", "2016-02-29", "2015-02-04T14", "2015-02-04T14:34:28.123", "2015-02-04T14:34:28+10:00", "2015-02-04T14:34:28.100Z", "2015-02-04T14:34:28.1-00:30"} {
		if got := dateTime(t, in).String(); got != in {
			t.Errorf("%s is printed as %s", in, got)
		}
	}
	for _, in := range []string{"", "20", "2015-13", "2015-02-30", "2015-2-3", "2015-02-04T25", "2015-02-04T14:60", "2015-02T14", "2015-02-04T14:34:28+1", "2015-02-04 14:34", "0000"} {
		if d, err := value.ParseDateTime(in); err == nil {
			t.Errorf("%q is read as %s", in, d)
		}
	}
}

func TestTemporalOrder(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		order int
		known bool
	}{
		{"2014", "2015-01", -1, true},
		{"2015", "2015-01", 0, false},
		{"2015-01", "2015-01", 0, true},
		{"2015-01-01T10:00:00", "2015-01-01T10:00:00.0", 0, true},
		{"2015-01-01T10:00", "2015-01-01T10:00:00", 0, false},
		{"2015-01-01T23:30:00-05:00", "2015-01-02T04:30:00Z", 0, true},
		{"2015-01-01T10:00:00Z", "2015-01-01T10:00:00", 0, false},
		{"2015-01-01T10:00:00Z", "2015-01-03T10:00:01", -1, true},
	} {
		a, b := dateTime(t, tt.a), dateTime(t, tt.b)
		order, known, err := value.Compare(a, b)
		back, _, _ := value.Compare(b, a)
		if err != nil || known != tt.known || known && order != tt.order || known && back != -order {
			t.Errorf("%s against %s: %d, %v, %v", a, b, order, known, err)
		}
	}
}

func quantity(t *testing.T, s string) value.Quantity {
	t.Helper()
	q, ok := value.ParseQuantity(s)
	if !ok {
		t.Fatalf("%s is no quantity", s)
	}
	return q
}

func TestQuantityOrder(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		order int
		known bool
		unit  bool // ErrUnit
	}{
		{"1 'g'", "1000 'mg'", 0, true, false},
		{"1 '[lb_av]'", "0.45359237 'kg'", 0, true, false},
		{"120 'mm[Hg]'", "16 'kPa'", -1, true, false},
		{"5 'mmol/L'", "0.005 'mol/L'", 0, true, false},
		{"100 'mg/dL'", "1 'g/L'", 0, true, false},
		{"10 '%'", "0.1 '1'", 0, true, false},
		{"1 '10*3/uL'", "1000000000 '/L'", 0, true, false},
		{"60 '/min'", "1 'Hz'", 0, true, false},
		{"2 'kg/m2'", "2000 'g/m2'", 0, true, false},
		{"2 '{score}'", "2 '1'", 0, true, false},
		{"30 'mL/min/{1.73_m2}'", "0.5 'mL/s'", 0, true, false},
		{"1 'm'", "1 's'", 0, false, false},
		{"37 'Cel'", "36 'Cel'", 1, true, false},
		{"37 'Cel'", "98.6 '[degF]'", 0, false, true},
		{"1 'furlong'", "1 'm'", 0, false, true},
		{"1 day", "24 hours", 0, true, false},
		{"1 day", "1 'd'", 0, true, false},
		{"1 year", "12 months", 0, true, false},
		{"1 year", "1 'a'", 0, false, false},
	} {
		a, b := quantity(t, tt.a), quantity(t, tt.b)
		order, known, err := value.Compare(a, b)
		if errors.Is(err, value.ErrUnit) != tt.unit || known != tt.known || order != tt.order {
			t.Errorf("%s against %s: %d, %v, %v", a, b, order, known, err)
		}
	}
}

func TestArithmetic(t *testing.T) {
	date := func(s string) value.Value {
		if len(s) <= 10 {
			d, err := value.ParseDate(s)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		return dateTime(t, s)
	}
	clock, err := value.ParseTime("23:30")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		do   func(a, b value.Value) (value.Value, error)
		a, b value.Value
		want string // "" for empty, "!" for an error
	}{
		{value.Add, date("2016-01-31"), quantity(t, "1 month"), "2016-02-29"},
		{value.Sub, date("2016-02-29"), quantity(t, "1 year"), "2015-02-28"},
		{value.Add, date("2016"), quantity(t, "24 months"), "2018"},
		{value.Add, date("2016-01"), quantity(t, "1 day"), "2016-01"},
		{value.Add, date("2016-01-01T00:00:00Z"), quantity(t, "36 hours"), "2016-01-02T12:00:00Z"},
		{value.Add, date("2016-01-01T00:00:00.000+02:00"), quantity(t, "1500 milliseconds"), "2016-01-01T00:00:01.500+02:00"},
		{value.Add, date("9999-12-31"), quantity(t, "1 day"), ""},
		{value.Add, date("2016-01-01"), quantity(t, "1 'mo'"), "!"},
		{value.Add, clock, quantity(t, "45 minutes"), "00:15"},
		{value.Add, quantity(t, "1 'kg'"), quantity(t, "500 'g'"), "1.5 'kg'"},
		{value.Sub, quantity(t, "1 'kg'"), quantity(t, "1 'm'"), ""},
		{value.Mul, quantity(t, "2 'm'"), quantity(t, "3 'm'"), "6 'm.m'"},
		{value.Div, quantity(t, "1 'kg'"), quantity(t, "1 'g'"), "1000 '1'"},
		{value.Div, value.Integer(1), value.Integer(3), "0.3333333333333333"},
		{value.Div, value.Integer(1), value.Integer(0), ""},
		{value.DivInt, value.Integer(-7), value.Integer(2), "-3"},
		{value.Mod, decimal(t, "2.2"), decimal(t, "1.8"), "0.4"},
		{value.Add, value.MaxInteger, value.Integer(1), ""},
		{value.Add, decimal(t, "1.2"), value.Integer(1), "2.2"},
		{value.Sub, value.String("a"), value.String("b"), "!"},
	} {
		got, err := tt.do(tt.a, tt.b)
		text := ""
		switch {
		case err != nil:
			text = "!"
		case got != nil:
			text = got.String()
		}
		if text != tt.want {
			t.Errorf("%s and %s: %q (%v), want %q", tt.a, tt.b, text, err, tt.want)
		}
	}
}

func TestBoundary(t *testing.T) {
	clock, err := value.ParseTime("10:30")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		v         value.Value
		digits    int
		low, high string
	}{
		{decimal(t, "1.587"), 8, "1.58650000", "1.58750000"},
		{decimal(t, "-1.587"), 2, "-1.59", "-1.58"},
		{dateTime(t, "2014"), 6, "2014-01", "2014-12"},
		{dateTime(t, "2014-02"), 8, "2014-02-01", "2014-02-28"},
		{dateTime(t, "2014-02-01T08:05"), 17, "2014-02-01T08:05:00.000+14:00", "2014-02-01T08:05:59.999-12:00"},
		{clock, 9, "10:30:00.000", "10:30:59.999"},
	} {
		low, okLow := value.Boundary(tt.v, false, tt.digits, true)
		high, okHigh := value.Boundary(tt.v, true, tt.digits, true)
		if !okLow || !okHigh || low.String() != tt.low || high.String() != tt.high {
			t.Errorf("%s to %d: %v and %v, want %s and %s", tt.v, tt.digits, low, high, tt.low, tt.high)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.50", "2015-02-04T14:34:28.123+10:00", "14:30", "4 'mg/dL'", "1e-5", "3 'm2.kg-1/(s.K){x}'", "2 weeks"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := value.ParseDateTime(s); err == nil {
			if again, err := value.ParseDateTime(d.String()); err != nil || len(s) < 28 && again != d {
				t.Fatalf("%q is printed as %q", s, d)
			}
		}
		if q, ok := value.ParseQuantity(s); ok {
			if order, known, err := value.Compare(q, q); err != nil || !known || order != 0 {
				t.Fatalf("%q is not equal to itself: %v", q, err)
			}
			_, _, _ = value.Compare(q, value.Quantity{Value: q.Value, Unit: "m"})
		}
		if d, err := value.ParseDecimal(s); err == nil && len(s) < 500 {
			again, err := value.ParseDecimal(d.String())
			if err != nil || again.Cmp(d) != 0 {
				t.Fatalf("%q is printed as %q", s, d)
			}
		}
	})
}

func TestUnitsAreBounded(t *testing.T) {
	for _, unit := range []string{strings.Repeat("[pi]12.", 8) + "m", strings.Repeat("Ym12/", 11) + "s", strings.Repeat("(", 99), strings.Repeat("m.", 100)} {
		a := value.Quantity{Value: value.FromInt(1), Unit: unit}
		if _, _, err := value.Compare(a, value.Quantity{Value: value.FromInt(1), Unit: "m"}); err != nil && !errors.Is(err, value.ErrUnit) {
			t.Errorf("%s: %v", unit, err)
		}
	}
}
