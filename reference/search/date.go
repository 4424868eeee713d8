package search

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Open ends of a date range, in Unix milliseconds.
const (
	Past   int64 = math.MinInt64
	Future int64 = math.MaxInt64
)

// dateRange is the span a FHIR date, dateTime or instant covers, both ends inclusive, in Unix milliseconds. A value without
// a zone is taken as UTC: the server's local zone must not decide what is found.
func dateRange(s string) (lo, hi int64, err error) {
	bad := func() (int64, int64, error) {
		return 0, 0, fmt.Errorf("%q is not a date: want YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.sss]][Z|±hh:mm]", s)
	}
	if len(s) < 4 {
		return bad()
	}
	day, clock, hasClock := strings.Cut(s, "T")
	year, ok := digits(day, 0, 4)
	month, dom := 1, 1
	switch len(day) {
	case 4:
	case 7, 10:
		var ok2 bool
		month, ok2 = digits(day, 5, 2)
		ok = ok && ok2 && day[4] == '-'
		if ok && len(day) == 10 {
			dom, ok2 = digits(day, 8, 2)
			ok = ok2 && day[7] == '-'
		}
	default:
		ok = false
	}
	if !ok || month < 1 || month > 12 || dom < 1 || dom > daysIn(year, month) || hasClock && len(day) != 10 {
		return bad()
	}
	start := time.Date(year, time.Month(month), dom, 0, 0, 0, 0, time.UTC)
	if !hasClock {
		end := start.AddDate(0, 0, 1)
		if len(day) == 4 {
			end = start.AddDate(1, 0, 0)
		} else if len(day) == 7 {
			end = start.AddDate(0, 1, 0)
		}
		return start.UnixMilli(), end.UnixMilli() - 1, nil
	}
	offset := 0
	if z := strings.IndexAny(clock, "Z+-"); z >= 0 {
		zone := clock[z:]
		clock = clock[:z]
		if zone != "Z" {
			h, ok1 := digits(zone, 1, 2)
			m, ok2 := digits(zone, 4, 2)
			if len(zone) != 6 || zone[3] != ':' || !ok1 || !ok2 || h > 14 || m > 59 {
				return bad()
			}
			offset = h*3600 + m*60
			if zone[0] == '-' {
				offset = -offset
			}
		}
	}
	h, ok1 := digits(clock, 0, 2)
	m, ok2 := digits(clock, 3, 2)
	if !ok1 || !ok2 || clock[2] != ':' || h > 24 || m > 59 {
		return bad()
	}
	lo = start.UnixMilli() + int64(h*3600+m*60-offset)*1000
	if len(clock) == 5 {
		return lo, lo + 59_999, nil
	}
	sec, ok3 := digits(clock, 6, 2)
	if !ok3 || clock[5] != ':' || sec > 60 {
		return bad()
	}
	lo += int64(sec) * 1000
	if len(clock) == 8 {
		return lo, lo + 999, nil
	}
	frac := clock[9:]
	if clock[8] != '.' || frac == "" || strings.Trim(frac, "0123456789") != "" {
		return bad()
	}
	ms, err := strconv.Atoi((frac + "00")[:3])
	if err != nil {
		return bad()
	}
	lo += int64(ms)
	switch len(frac) {
	case 1:
		return lo, lo + 99, nil
	case 2:
		return lo, lo + 9, nil
	}
	return lo, lo, nil
}

func digits(s string, at, n int) (int, bool) {
	if len(s) < at+n {
		return 0, false
	}
	v := 0
	for _, c := range []byte(s[at : at+n]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// Instant reads a FHIR instant or the query form of one, in which "+" may have become a blank.
func Instant(s string) (time.Time, error) {
	if i := strings.LastIndexByte(s, ' '); i > 10 {
		s = s[:i] + "+" + s[i+1:]
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an instant: want YYYY-MM-DDThh:mm:ss[.sss](Z|±hh:mm)", s)
	}
	return t, nil
}
