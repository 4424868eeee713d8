package value

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Precision is the last component that a date or time states.
type Precision uint8

// The precisions. Milliseconds are a fraction of the second; Millisecond says that one was written.
const (
	NoPrecision Precision = iota
	Year
	Month
	Day
	Hour
	Minute
	Second
	Millisecond
)

// moment holds what dates, times and both together are made of.
type moment struct {
	year, month, day, hour, minute, second int32
	nanos                                  int32
	offset                                 int32 // minutes east of UTC
	prec                                   Precision
	digits                                 uint8 // written behind the second's point
	zoned                                  bool
	utc                                    bool // the zone was written Z
}

// Date is System.Date: a year, month or day.
type Date struct{ m moment }

// DateTime is System.DateTime: a Date, and possibly a time with or without a zone.
type DateTime struct{ m moment }

// Time is System.Time: a time of day from the hour on.
type Time struct{ m moment }

// ParseDate reads 2015, 2015-02 or 2015-02-04.
func ParseDate(s string) (Date, error) {
	var p dateReader
	p.rest = s
	if !p.date() || p.rest != "" {
		return Date{}, fmt.Errorf("%.40q is not a date", s)
	}
	return Date{p.m}, nil
}

// ParseDateTime reads a date, with an optional time from the hour on and an optional zone. A bare T at the end is accepted.
func ParseDateTime(s string) (DateTime, error) {
	var p dateReader
	p.rest = s
	if p.date() {
		switch {
		case p.rest == "":
			return DateTime{p.m}, nil
		case p.rest[0] == 'T' && len(p.rest) == 1:
			return DateTime{p.m}, nil
		case p.rest[0] == 'T' && p.m.prec == Day:
			p.rest = p.rest[1:]
			if p.clock() && p.zone() && p.rest == "" {
				return DateTime{p.m}, nil
			}
		}
	}
	return DateTime{}, fmt.Errorf("%.40q is not a date and time", s)
}

// ParseTime reads 14, 14:34, 14:34:28 or 14:34:28.123.
func ParseTime(s string) (Time, error) {
	var p dateReader
	p.rest = s
	if !p.clock() || p.rest != "" {
		return Time{}, fmt.Errorf("%.40q is not a time of day", s)
	}
	return Time{p.m}, nil
}

// Instant is t to the millisecond, in its zone.
func Instant(t time.Time) DateTime {
	_, off := t.Zone()
	return DateTime{moment{
		year: int32(t.Year()), month: int32(t.Month()), day: int32(t.Day()), hour: int32(t.Hour()), minute: int32(t.Minute()),
		second: int32(t.Second()), nanos: int32(t.Nanosecond() / 1e6 * 1e6), offset: int32(off / 60), prec: Millisecond, digits: 3, zoned: true,
	}}
}

// Date is the date part; false when d states no year.
func (d DateTime) Date() Date {
	m := d.m
	return Date{moment{year: m.year, month: m.month, day: m.day, prec: min(m.prec, Day)}}
}

// Time is the time of day.
func (d DateTime) Time() Time {
	m := d.m
	return Time{moment{hour: m.hour, minute: m.minute, second: m.second, nanos: m.nanos, digits: m.digits, prec: m.prec}}
}

// DateTime is d as a DateTime of the same precision.
func (d Date) DateTime() DateTime { return DateTime(d) }

type dateReader struct {
	m    moment
	rest string
}

func (p *dateReader) number(n int) (int32, bool) {
	if len(p.rest) < n {
		return 0, false
	}
	v := int32(0)
	for i := range n {
		c := p.rest[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int32(c-'0')
	}
	p.rest = p.rest[n:]
	return v, true
}

func (p *dateReader) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *dateReader) date() (ok bool) {
	if p.m.year, ok = p.number(4); !ok || p.m.year == 0 {
		return false
	}
	p.m.prec = Year
	if !p.skip('-') {
		return true
	}
	if p.m.month, ok = p.number(2); !ok || p.m.month < 1 || p.m.month > 12 {
		return false
	}
	p.m.prec = Month
	if !p.skip('-') {
		return true
	}
	if p.m.day, ok = p.number(2); !ok || p.m.day < 1 || p.m.day > daysIn(p.m.year, p.m.month) {
		return false
	}
	p.m.prec = Day
	return true
}

func (p *dateReader) clock() (ok bool) {
	if p.m.hour, ok = p.number(2); !ok || p.m.hour > 23 {
		return false
	}
	p.m.prec = Hour
	if !p.skip(':') {
		return true
	}
	if p.m.minute, ok = p.number(2); !ok || p.m.minute > 59 {
		return false
	}
	p.m.prec = Minute
	if !p.skip(':') {
		return true
	}
	if p.m.second, ok = p.number(2); !ok || p.m.second > 60 {
		return false
	}
	p.m.prec = Second
	if !p.skip('.') {
		return true
	}
	n, unit := 0, int32(100_000_000)
	for ; n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9'; n++ {
		p.m.nanos += int32(p.rest[n]-'0') * unit
		unit /= 10
	}
	if n == 0 || n > 100 {
		return false
	}
	p.m.prec, p.m.digits, p.rest = Millisecond, uint8(n), p.rest[n:]
	return true
}

func (p *dateReader) zone() bool {
	switch {
	case p.rest == "":
		return true
	case p.skip('Z'):
		p.m.zoned, p.m.utc = true, true
		return true
	case p.rest[0] != '+' && p.rest[0] != '-':
		return false
	}
	sign := int32(1)
	if p.rest[0] == '-' {
		sign = -1
	}
	p.rest = p.rest[1:]
	h, ok := p.number(2)
	if !ok || !p.skip(':') {
		return false
	}
	m, ok := p.number(2)
	if !ok || h > 14 || m > 59 {
		return false
	}
	p.m.zoned, p.m.offset = true, sign*(h*60+m)
	return true
}

func daysIn(year, month int32) int32 {
	return int32(time.Date(int(year), time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day())
}

func pad(b *strings.Builder, n int32, width int) {
	s := strconv.Itoa(int(n))
	for range width - len(s) {
		b.WriteByte('0')
	}
	b.WriteString(s)
}

func (m *moment) writeDate(b *strings.Builder) {
	pad(b, m.year, 4)
	if m.prec >= Month {
		b.WriteByte('-')
		pad(b, m.month, 2)
	}
	if m.prec >= Day {
		b.WriteByte('-')
		pad(b, m.day, 2)
	}
}

func (m *moment) writeClock(b *strings.Builder) {
	pad(b, m.hour, 2)
	if m.prec >= Minute {
		b.WriteByte(':')
		pad(b, m.minute, 2)
	}
	if m.prec >= Second {
		b.WriteByte(':')
		pad(b, m.second, 2)
	}
	if m.prec >= Millisecond {
		b.WriteByte('.')
		s := strconv.Itoa(1_000_000_000 + int(m.nanos))[1:]
		b.WriteString(s[:min(int(m.digits), 9)])
	}
}

func (d Date) String() string {
	var b strings.Builder
	d.m.writeDate(&b)
	return b.String()
}

func (d DateTime) String() string {
	var b strings.Builder
	d.m.writeDate(&b)
	if d.m.prec < Hour {
		return b.String()
	}
	b.WriteByte('T')
	d.m.writeClock(&b)
	switch {
	case d.m.utc:
		b.WriteByte('Z')
	case d.m.zoned:
		off := d.m.offset
		sign := byte('+')
		if off < 0 {
			sign, off = '-', -off
		}
		b.WriteByte(sign)
		pad(&b, off/60, 2)
		b.WriteByte(':')
		pad(&b, off%60, 2)
	}
	return b.String()
}

func (t Time) String() string {
	var b strings.Builder
	t.m.writeClock(&b)
	return b.String()
}

// instant is m as a point on the line, as if in UTC when it has no zone. Components not stated are the first possible.
func (m *moment) instant() time.Time {
	return time.Date(int(m.year), time.Month(max(m.month, 1)), int(max(m.day, 1)), int(m.hour), int(m.minute)-int(m.offset), int(m.second), int(m.nanos), time.UTC)
}

// inUTC is m with its zone taken out.
func (m moment) inUTC() moment {
	if !m.zoned || m.offset == 0 || m.prec < Hour {
		return m
	}
	return m.at(m.instant())
}

// at replaces the components by those of t.
func (m moment) at(t time.Time) moment {
	m.year, m.month, m.day = int32(t.Year()), int32(t.Month()), int32(t.Day())
	m.hour, m.minute, m.second, m.nanos = int32(t.Hour()), int32(t.Minute()), int32(t.Second()), int32(t.Nanosecond())
	m.offset = 0
	return m
}

// widestZones is how far apart two clocks may be.
const widestZones = 26 * time.Hour

// compare orders two moments of the same kind; known is false where a missing component or zone leaves it open. first is the
// first component that counts.
func compareMoments(a, b moment, first Precision) (order int, known bool) {
	switch {
	case a.prec >= Hour && b.prec >= Hour && a.zoned != b.zoned && first == Year:
		gap := a.instant().Sub(b.instant())
		if gap > widestZones || gap < -widestZones {
			return cmp.Compare(gap, 0), true
		}
		return 0, false
	case a.zoned && b.zoned && a.prec >= Hour && b.prec >= Hour:
		a, b = a.inUTC(), b.inUTC()
	}
	left := [...]int32{a.year, a.month, a.day, a.hour, a.minute}
	right := [...]int32{b.year, b.month, b.day, b.hour, b.minute}
	for p := first; p <= Minute; p++ {
		if a.prec < p || b.prec < p {
			return 0, a.prec == b.prec
		}
		if c := cmp.Compare(left[p-Year], right[p-Year]); c != 0 {
			return c, true
		}
	}
	if a.prec < Second || b.prec < Second {
		return 0, a.prec == b.prec
	}
	// Seconds and their fraction are one decimal: no precision is missing.
	return cmp.Compare(int64(a.second)*1e9+int64(a.nanos), int64(b.second)*1e9+int64(b.nanos)), true
}
