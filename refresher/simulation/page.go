package simulation

import (
	"fmt"
	"strings"
	"time"

	"attache/internal/picture"
)

// What docs/scaling.md shows.
const (
	pageSeed     = 1
	pageLifetime = time.Hour
	pageRollout  = time.Minute
	pageJitter   = 0.05
	pageLength   = 25 * time.Hour
)

func pageFleets() []int        { return []int{10, 100, 1000, 10_000, 100_000} }
func pageJitters() []float64   { return []float64{0, 0.05, 0.2} }
func percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// Outage is what a fleet causes while the vendor cannot be reached.
type Outage struct {
	Replicas   int
	Attempts   float64 // logins that are tried, a minute
	Operations float64 // of the store, a second
}

// FillPage returns the page with new tables between its marks.
func FillPage(page string, outages []Outage) (string, error) {
	for name, table := range map[string]string{
		"alone": aloneTable(), "shared": sharedTable(), "lifetimes": lifetimesTable(), "outages": outagesTable(outages),
	} {
		begin, end := "<!-- simulation:"+name+" -->\n", "<!-- /simulation:"+name+" -->\n"
		head, rest, ok := strings.Cut(page, begin)
		_, tail, ended := strings.Cut(rest, end)
		if !ok || !ended {
			return "", fmt.Errorf("the page has no place for the table %s, between %q and %q", name, begin, end)
		}
		page = head + begin + "\n" + table + "\n" + end + tail
	}
	return page, nil
}

// aloneTable is about fleets without a store.
func aloneTable() string {
	var b strings.Builder
	b.WriteString("| replicas | logins an hour | most in a second, the first renewal: no jitter |")
	b.WriteString(" 5 % | 20 % | most in a second, after a day: no jitter | 5 % | 20 % |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, n := range pageFleets() {
		var first, later []string
		var hourly float64
		for _, jitter := range pageJitters() {
			logins := Fleet{Replicas: n, Lifetime: pageLifetime, Jitter: jitter, Rollout: pageRollout}.Alone(pageSeed, pageLength)
			first = append(first, picture.Thousands(float64(Peak(logins, 30*time.Minute, time.Hour))))
			later = append(later, picture.Thousands(float64(Peak(logins, pageLength-time.Hour, pageLength))))
			if jitter == pageJitter {
				hourly = perHour(logins)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", picture.Thousands(n), picture.Thousands(hourly), strings.Join(first, " | "), strings.Join(later, " | "))
	}
	return b.String()
}

// perHour is the mean after the start.
func perHour(logins []int) float64 {
	sum := 0
	for _, n := range logins[3600:] {
		sum += n
	}
	return float64(sum) / (float64(len(logins)-3600) / 3600)
}

// sharedTable is about fleets with a store.
func sharedTable() string {
	var b strings.Builder
	b.WriteString("| replicas | logins an hour | store operations an hour | a second | reads when a token is announced |\n|---:|---:|---:|---:|---:|\n")
	for _, n := range pageFleets() {
		s := Fleet{Replicas: n, Lifetime: pageLifetime, Jitter: pageJitter}.Shared(pageSeed, pageLength)
		fmt.Fprintf(&b, "| %s | %.1f | %s | %s | %s |\n",
			picture.Thousands(n), s.Logins, picture.Thousands(s.Operations), few(s.Operations/3600), picture.Thousands(n))
	}
	return b.String()
}

// lifetimesTable is about a thousand replicas.
func lifetimesTable() string {
	var b strings.Builder
	b.WriteString("| lifetime | logins an hour without a store | with one | store operations an hour |\n|---:|---:|---:|---:|\n")
	for _, life := range []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 24 * time.Hour} {
		f := Fleet{Replicas: 1000, Lifetime: life, Jitter: pageJitter, Rollout: pageRollout}
		long := max(pageLength, 200*life) // enough renewals for a mean
		s := f.Shared(pageSeed, long)
		alone := perHour(f.Alone(pageSeed, 20*life+time.Hour))
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", spell(life), picture.Thousands(alone), few(s.Logins), picture.Thousands(s.Operations))
	}
	return b.String()
}

// outagesTable shows two outages of each fleet: one in which connections are
// refused, and one in which nothing is answered.
func outagesTable(outages []Outage) string {
	var b strings.Builder
	b.WriteString("| replicas | connections are refused: logins tried, a minute | store operations, a second | no answer: logins tried, a minute | store operations, a second |\n|---:|---:|---:|---:|---:|\n")
	for i := 0; i+1 < len(outages); i += 2 {
		refused, hangs := outages[i], outages[i+1]
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n",
			refused.Replicas, few(refused.Attempts), few(refused.Operations), few(hangs.Attempts), few(hangs.Operations))
	}
	return b.String()
}

func spell(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// few writes a number with two digits that count.
func few(x float64) string {
	switch {
	case x >= 10:
		return picture.Thousands(x)
	case x >= 1:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
