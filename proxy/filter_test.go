package proxy_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
)

func TestParseFilter(t *testing.T) {
	term := func(k proxy.Key, op proxy.Op, values ...string) proxy.Term {
		return proxy.Term{Key: k, Op: op, Values: values}
	}
	not := func(t proxy.Term) proxy.Term { t.Not = true; return t }
	tests := []struct {
		in    string
		want  []proxy.Term
		words string
	}{
		{"", nil, ""},
		{"  ", nil, ""},
		{
			"status:>=400 -kind:capabilities",
			[]proxy.Term{term(proxy.KeyStatus, proxy.OpGe, "400"), not(term(proxy.KeyKind, proxy.OpEq, "capabilities"))},
			"status 400 or more, not the capability statement",
		},
		{"type:Patient,Coverage", []proxy.Term{term(proxy.KeyType, proxy.OpEq, "Patient", "Coverage")}, "resource type Patient or Coverage"},
		{"op:$member-match", []proxy.Term{term(proxy.KeyOp, proxy.OpEq, "$member-match")}, "operation $member-match"},
		{"!finding:Error", []proxy.Term{not(term(proxy.KeyFinding, proxy.OpEq, "error"))}, "not with an error"},
		{`"two words"`, []proxy.Term{term(proxy.KeyText, proxy.OpEq, "two words")}, `URL contains "two words"`},
		{`-text:"a,b",c`, []proxy.Term{not(term(proxy.KeyText, proxy.OpEq, "a,b", "c"))}, `not URL contains "a,b" or "c"`},
		{`"type:x"`, []proxy.Term{term(proxy.KeyText, proxy.OpEq, "type:x")}, `URL contains "type:x"`},
		{"http://h/Patient?a=b,c", []proxy.Term{term(proxy.KeyText, proxy.OpEq, "http://h/Patient?a=b,c")}, `URL contains "http://h/Patient?a=b,c"`},
		{"Patient?identifier=sys:1", []proxy.Term{term(proxy.KeyText, proxy.OpEq, "Patient?identifier=sys:1")}, `URL contains "Patient?identifier=sys:1"`},
		{"status>499", []proxy.Term{term(proxy.KeyStatus, proxy.OpGt, "499")}, "status more than 499"},
		{"status:4XX,none", []proxy.Term{term(proxy.KeyStatus, proxy.OpEq, "4xx", "none")}, "status 4xx or missing (no response)"},
		{"size:>1M ms:<2s", []proxy.Term{term(proxy.KeySize, proxy.OpGt, "1m"), term(proxy.KeyMS, proxy.OpLt, "2s")}, "response size more than 1m, duration less than 2s"},
		{"since:10m", []proxy.Term{term(proxy.KeySince, proxy.OpEq, "10m")}, "since 10m ago"},
		{"failure:client-tls", []proxy.Term{term(proxy.KeyFailure, proxy.OpEq, "client-tls")}, "TLS with the client failed, or its certificate was not accepted"},
		{"trust:insecure", []proxy.Term{term(proxy.KeyTrust, proxy.OpEq, "insecure")}, "server not verified"},
		{"failure:yes", []proxy.Term{term(proxy.KeyFailure, proxy.OpEq, "yes")}, "broken off"},
		{`rule:"a\"b\\"`, []proxy.Term{term(proxy.KeyRule, proxy.OpEq, `a"b\`)}, `finding of rule a"b\`},
	}
	for _, tc := range tests {
		t.Run(tc.in, func(t *testing.T) {
			f, errs := proxy.ParseFilter(tc.in)
			if len(errs) > 0 {
				t.Fatalf("errors %v", errs)
			}
			if !reflect.DeepEqual(f.Terms, tc.want) {
				t.Errorf("terms %+v, want %+v", f.Terms, tc.want)
			}
			if f.Words() != tc.words {
				t.Errorf("words %q, want %q", f.Words(), tc.words)
			}
			if f.Empty() != (len(tc.want) == 0) {
				t.Errorf("Empty() = %v", f.Empty())
			}
		})
	}
}

func TestParseFilterErrors(t *testing.T) {
	tests := []struct {
		in, problem, suggestion string
		pos, end                int
		kept                    int
	}{
		{"type:Patient stauts:400 x", `unknown word "stauts"`, "status:400", 13, 23, 2},
		{"-url:foo", `unknown word "url"`, "-text:foo", 0, 8, 0},
		{"severity:bogus", `unknown word "severity"`, "finding:error", 0, 14, 0},
		{"zzzzzz:1", `unknown word "zzzzzz"`, "", 0, 8, 0},
		{"status:abc", `status cannot be "abc"; use a status code, a class such as 4xx, or none`, "", 0, 10, 0},
		{"status:>4xx", `status cannot be "4xx"; use a status code, a class such as 4xx, or none`, "", 0, 11, 0},
		{"verdict:passed", `verdict cannot be "passed"; use pass, pass-notes, fail, not-checked, error or pending`, "verdict:pass", 0, 14, 0},
		{"kind:serch", `kind cannot be "serch"; use an interaction such as read, search, operation, bulk or other`, "kind:search", 0, 10, 0},
		{"type:>3", "type does not compare with >", "", 0, 7, 0},
		{"ms:>1,2", "ms compares with one value", "", 0, 7, 0},
		{"type:", "type needs a value", "type:Patient", 0, 5, 0},
		{"type:a,,b", "type needs a value", "type:Patient", 0, 9, 0},
		{`"open`, "a quote is not closed", "", 0, 5, 0},
		{"-", "nothing to look for", "", 0, 1, 0},
		{"since:yesterday", `since cannot be "yesterday"; use a time such as 10:30, 2026-01-31, 2026-01-31T10:30, or an age such as 10m, 2h, 3d`, "", 0, 15, 0},
		{"size:99999999999G", `size cannot be "99999999999g"; use bytes, or a size such as 20k or 1M`, "", 0, 17, 0},
	}
	for _, tc := range tests {
		t.Run(tc.in, func(t *testing.T) {
			f, errs := proxy.ParseFilter(tc.in)
			want := []proxy.FilterError{{Pos: tc.pos, End: tc.end, Problem: tc.problem, Suggestion: tc.suggestion}}
			if !reflect.DeepEqual(errs, want) {
				t.Errorf("errors %+v, want %+v", errs, want)
			}
			if len(f.Terms) != tc.kept {
				t.Errorf("kept %+v, want %d terms", f.Terms, tc.kept)
			}
		})
	}
	if _, errs := proxy.ParseFilter(strings.Repeat("a ", 4000)); len(errs) != 1 {
		t.Errorf("a long filter gave errors %v", errs)
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"10m": "2026-01-31T11:50:00Z", "3d": "2026-01-28T12:00:00Z", "10:30": "2026-01-31T10:30:00Z",
		"2026-01-02": "2026-01-02T00:00:00Z", "2026-01-02T03:04": "2026-01-02T03:04:00Z",
		"2026-01-02T03:04:05+01:00": "2026-01-02T02:04:05Z",
		"-5m":                       "", "x": "", "d": "", "1e400d": "", "25:00": "",
	} {
		got, ok := proxy.Moment(in, now)
		if ok != (want != "") || ok && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("Moment(%q) = %v, %v; want %q", in, got, ok, want)
		}
	}
}

func TestNumber(t *testing.T) {
	tests := []struct {
		key  proxy.Key
		in   string
		want int64
		ok   bool
	}{
		{proxy.KeySize, "20k", 20 << 10, true},
		{proxy.KeySize, "1MB", 1 << 20, true},
		{proxy.KeySize, "-1", 0, false},
		{proxy.KeyMS, "2s", 2000, true},
		{proxy.KeyMS, "500", 500, true},
		{proxy.KeyStatus, "404", 404, true},
		{proxy.KeyStatus, "4xx", 0, false},
		{proxy.KeyNumber, "+1", 0, false},
	}
	for _, tc := range tests {
		if got, ok := proxy.Number(tc.key, tc.in); got != tc.want || ok != tc.ok {
			t.Errorf("Number(%s, %q) = %d, %v; want %d, %v", tc.key, tc.in, got, ok, tc.want, tc.ok)
		}
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"abc", "ABC", true},
		{"abc", "abcd", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b*", "abc", true},
		{"a*a", "a", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "acb", false},
		{"*", "", true},
		{"**", "x", true},
	}
	for _, tc := range tests {
		if got := proxy.Glob(tc.pattern, tc.s); got != tc.want {
			t.Errorf("Glob(%q, %q) = %v", tc.pattern, tc.s, got)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{
		"status:>=400 -kind:capabilities", `rule:"a\"b\\" x`, "!finding:none", "type:a,,b", `"`, "-", "--x", `""`, "a<b:c", "status<5",
		`text:"",x`, "size:1k,2M", "since:10m until:2026-01-01", "kind:bulk*,read", `-"-x"`, "text:=a", "op:==x", `\`, `text:\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, errs := proxy.ParseFilter(s)
		for _, e := range errs {
			if e.Pos < 0 || e.End > len(s) || e.Pos >= e.End {
				t.Fatalf("%q: error range %d:%d", s, e.Pos, e.End)
			}
			if e.Suggestion != "" {
				if _, again := proxy.ParseFilter(e.Suggestion); len(again) > 0 {
					t.Fatalf("%q: suggestion %q is not acceptable: %v", s, e.Suggestion, again)
				}
			}
		}
		again, errs := proxy.ParseFilter(filter.String())
		if len(filter.String()) <= 4096 && (len(errs) > 0 || !reflect.DeepEqual(filter, again)) {
			t.Fatalf("%q printed as %q reads back as %+v (%v), want %+v", s, filter.String(), again, errs, filter)
		}
		if (filter.Words() == "") != filter.Empty() {
			t.Fatalf("%q: words %q", s, filter.Words())
		}
	})
}
