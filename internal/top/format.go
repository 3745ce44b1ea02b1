package top

import (
	"fmt"
	"strings"
	"time"
)

// span writes how long something takes, in at most six columns: its two largest
// units, and of seconds below ten one decimal.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return two(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "m")
	case d < 100*24*time.Hour:
		return two(d, 24*time.Hour, "d", time.Hour, "h")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func two(d, large time.Duration, unit string, small time.Duration, rest string) string {
	text := fmt.Sprintf("%d%s", d/large, unit)
	if n := d % large / small; n > 0 {
		text += fmt.Sprintf("%d%s", n, rest)
	}
	return text
}

// String writes a latency in at most six columns.
func (q quantile) String() string {
	sign := ""
	if q.above {
		sign = ">"
	}
	switch {
	case !q.known:
		return "-"
	case q.d < 10*time.Millisecond:
		return fmt.Sprintf("%s%.1fms", sign, q.d.Seconds()*1000)
	case q.d < time.Second:
		return fmt.Sprintf("%s%dms", sign, q.d.Milliseconds())
	}
	return sign + span(q.d)
}

// number writes a count in at most five columns.
func number(n uint64) string {
	units := ""
	f := float64(n)
	for _, unit := range []string{"k", "M", "G", "T", "P", "E"} {
		if n < 100_000 || f < 1000 {
			break
		}
		f /= 1000
		units = unit
	}
	switch {
	case units == "":
		return fmt.Sprint(n)
	case f < 10:
		return fmt.Sprintf("%.1f%s", f, units)
	}
	return fmt.Sprintf("%.0f%s", f, units)
}

// perSecond writes a rate.
func perSecond(f float64) string {
	switch {
	case f == 0:
		return "0/s"
	case f < 0.1:
		return "<0.1/s"
	case f < 100:
		return fmt.Sprintf("%.1f/s", f)
	}
	return number(uint64(f)) + "/s"
}

// life draws a token's life, from issued to expires, in so many columns: = for what
// is over, > for now, | for when it is due, - for what is to come. It is made of
// ASCII, which has the same width everywhere. "" if there is no such life.
func life(columns int, now, issued, due, expires time.Time) string {
	whole := expires.Sub(issued)
	if columns < 2 || issued.IsZero() || expires.IsZero() || whole <= 0 {
		return ""
	}
	at := func(t time.Time) int {
		part := float64(t.Sub(issued)) / float64(whole)
		return int(min(max(part, 0), 1) * float64(columns-1))
	}
	bar := []byte(strings.Repeat("-", columns))
	for i := range at(now) {
		bar[i] = '='
	}
	if !due.IsZero() {
		bar[at(due)] = '|'
	}
	bar[at(now)] = '>'
	if !now.Before(expires) {
		bar[columns-1] = '='
	}
	return string(bar)
}
