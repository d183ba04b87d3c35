package directory

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the appliance's system has none
)

// Hours are the times of the week at which something is allowed; none: always. Written as
// "Mon-Fri 08:00-18:00, Sat 09:00-12:00": days, or a range of days, then from and until. Until may be 24:00; when it is
// not after from, the span ends on the next day and belongs to the one it began on. Without days: every day.
type Hours []Span

// Span is a time of some days of the week, by the clock on the wall.
type Span struct {
	Days        uint8 // bit time.Weekday: 1<<time.Sunday ...
	From, Until int   // minutes since midnight, 0..1440
}

const (
	everyDay  = 1<<7 - 1
	dayLength = 24 * 60
	maxSpans  = 32
)

var dayNames = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// ParseHours reads what Hours says. Errors: ErrEntry.
func ParseHours(text string) (Hours, error) {
	var h Hours
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		s, err := parseSpan(part)
		if err != nil {
			return nil, err
		}
		if h = append(h, s); len(h) > maxSpans {
			return nil, fmt.Errorf("%w: more than %d spans of hours", ErrEntry, maxSpans)
		}
	}
	return h, nil
}

func parseSpan(text string) (Span, error) {
	s := Span{Days: everyDay}
	bad := fmt.Errorf("%w: hours %.40q: write them like Mon-Fri 08:00-18:00", ErrEntry, text)
	words := strings.Fields(text)
	if len(words) == 2 {
		var ok bool
		if s.Days, ok = parseDays(words[0]); !ok {
			return s, bad
		}
		words = words[1:]
	}
	if len(words) != 1 {
		return s, bad
	}
	from, until, ok := strings.Cut(words[0], "-")
	if !ok {
		return s, bad
	}
	var okFrom, okUntil bool
	s.From, okFrom = parseClock(from)
	s.Until, okUntil = parseClock(until)
	if !okFrom || !okUntil || s.From == dayLength || s.From == s.Until {
		return s, bad
	}
	return s, nil
}

// parseDays reads "Mon", "Mon-Fri", "Sat-Mon".
func parseDays(text string) (uint8, bool) {
	first, last, isRange := strings.Cut(text, "-")
	a, okA := parseDay(first)
	if !isRange {
		return 1 << a, okA
	}
	b, okB := parseDay(last)
	if !okA || !okB {
		return 0, false
	}
	var days uint8
	for d := a; ; d = (d + 1) % 7 {
		days |= 1 << d
		if d == b {
			return days, true
		}
	}
}

func parseDay(name string) (int, bool) {
	i := slices.IndexFunc(dayNames[:], func(d string) bool { return strings.EqualFold(d, name) })
	return max(i, 0), i >= 0
}

// parseClock reads "8:00", "08:00" and "24:00".
func parseClock(text string) (int, bool) {
	hour, minute, ok := strings.Cut(text, ":")
	h, okH := twoDigits(hour)
	m, okM := twoDigits(minute)
	n := h*60 + m
	return n, ok && okH && okM && len(minute) == 2 && m < 60 && n <= dayLength
}

func twoDigits(s string) (int, bool) {
	if len(s) < 1 || len(s) > 2 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Contains tells whether t, by the clock of its own location, lies in the hours.
func (h Hours) Contains(t time.Time) bool {
	today := int(t.Weekday())
	yesterday := (today + 6) % 7
	now := t.Hour()*60 + t.Minute()
	for _, s := range h {
		on, before := s.Days&(1<<today) != 0, s.Days&(1<<yesterday) != 0
		switch {
		case s.From < s.Until:
			if on && now >= s.From && now < s.Until {
				return true
			}
		case on && now >= s.From, before && now < s.Until:
			return true
		}
	}
	return len(h) == 0
}

// String is what ParseHours reads.
func (h Hours) String() string {
	var all []string
	for _, s := range h {
		clock := fmt.Sprintf("%02d:%02d-%02d:%02d", s.From/60, s.From%60, s.Until/60, s.Until%60)
		if s.Days == everyDay {
			all = append(all, clock)
			continue
		}
		for _, days := range dayRanges(s.Days) {
			all = append(all, days+" "+clock)
		}
	}
	return strings.Join(all, ", ")
}

// dayRanges names a set of days, which is not all of them, in runs: "Mon-Fri", "Sun". A run may go over Saturday.
func dayRanges(days uint8) []string {
	has := func(d int) bool { return days&(1<<(d%7)) != 0 }
	var all []string
	for d := 1; d <= 7; d++ { // Monday first
		if !has(d) || has(d+6) {
			continue // not the first of its run
		}
		last := d
		for has(last + 1) {
			last++
		}
		name := dayNames[d%7]
		if last > d {
			name += "-" + dayNames[last%7]
		}
		all = append(all, name)
	}
	return all
}

// MarshalText writes String.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHours.
func (h *Hours) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHours(string(b))
	return err
}
