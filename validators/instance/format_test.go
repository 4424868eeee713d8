package instance

import "testing"

func TestFormats(t *testing.T) {
	ok := func(f func(string) string, good []string, bad []string) {
		t.Helper()
		for _, s := range good {
			if fault := f(s); fault != "" {
				t.Errorf("%q: %s", s, fault)
			}
		}
		for _, s := range bad {
			if f(s) == "" {
				t.Errorf("%q passes", s)
			}
		}
	}
	date := func(s string) string { _, f := dateFault(s); return f }
	dateTime := func(s string) string { _, f := dateTimeFault(s); return f }
	instant := func(s string) string { _, f := instantFault(s); return f }
	base64 := func(s string) string { _, _, f := base64Fault(s); return f }
	ok(date, []string{"2020", "2020-02", "2020-02-29", "1900-02-28", "9999-12-31"},
		[]string{"20", "2020-", "2020-13", "2020-00", "2021-02-29", "1900-02-29", "2020-04-31", "2020-2-1", "0000", "2020-01-01T10:00:00Z", "2020-01-01 ", "x"})
	ok(dateTime, []string{"2020", "2020-02-29T23:59:60Z", "2020-01-01T10:00:00.123456+14:00", "2020-01-01T10:00:00-05:30"},
		[]string{"2020-01-01T10:00Z", "2020-01-01T10:00:00", "2020-01-01T24:00:00Z", "2020-01-01T10:60:00Z", "2020-01T10:00:00Z", "2020-01-01T10:00:00+15:00", "2020-01-01T10:00:00.Z", "2020-01-01 10:00:00Z"})
	ok(instant, []string{"2020-01-01T10:00:00Z"}, []string{"2020-01-01", "2020"})
	ok(clockFault, []string{"10:00:00", "23:59:59.5"}, []string{"10:00", "24:00:00", "10:00:00Z", "1:00:00"})
	ok(idFault, []string{"a", "A-1.b"}, []string{"a_b", "a b", "é", string(make([]byte, 65))})
	ok(codeFault, []string{"a", "a b"}, []string{" a", "a ", "a  b", "a\tb"})
	ok(uriFault, []string{"http://x", "urn:oid:1.2.3", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "x"},
		[]string{"a b", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1", "urn:uuid:0c3151bd"})
	ok(base64, []string{"AAAA", "AAA=", "AA==", "AA AA"}, []string{"A", "AAA", "A===", "AA=A", "AA-A", "AAA.", "AAAé"})
	ok(func(s string) string { return wholeFault(s, -1<<31) }, []string{"0", "-1", "2147483647", "-2147483648"}, []string{"1.0", "1e3", "01", "2147483648", "-2147483649", "-", "99999999999999999999"})
	ok(func(s string) string { return wholeFault(s, 1) }, []string{"1"}, []string{"0", "-1"})
}

func TestCompareDecimals(t *testing.T) {
	for _, x := range []struct {
		a, b string
		want int
	}{
		{"1", "1.0", 0},
		{"1e2", "100", 0},
		{"-0", "0", 0},
		{"0.10", "0.1", 0},
		{"1.5", "1.25", 1},
		{"-1.5", "-1.25", -1},
		{"10", "9", 1},
		{"-1", "1", -1},
		{"12345678901234567890.1", "12345678901234567890.2", -1},
		{"1E-2", "0.01", 0},
		{"1e99999999", "1e-99999999", 1},
	} {
		if got := compareDecimals(x.a, x.b); got != x.want {
			t.Errorf("%s and %s: %d, want %d", x.a, x.b, got, x.want)
		}
	}
}

func TestDiscriminatorPaths(t *testing.T) {
	for src, want := range map[string]string{
		"$this": "", "code.coding": "code.coding", "$this.resource": "resource", "extension('http://e.org/x.y').value": "extension('http://e.org/x.y').value",
		"resolve().ofType(Patient)": "resolve().ofType(Patient)", "value[x]": "value",
	} {
		p, err := parsePath(src)
		if err != nil || pathText(p) != want {
			t.Errorf("%s: %s, %v", src, pathText(p), err)
		}
	}
	for _, src := range []string{"where(a=b)", "a..b", "resolve(x)"} {
		if _, err := parsePath(src); err == nil {
			t.Errorf("%s parses", src)
		}
	}
}
