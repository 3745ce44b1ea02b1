package exchange

import (
	"regexp"
	"strings"
	"testing"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

func TestSampledTrace(t *testing.T) {
	good := "00-" + traceID + "-" + spanID + "-01"
	for value, want := range map[string]string{
		good:                                          traceID,
		"00-" + traceID + "-" + spanID + "-03":        traceID, // the flag of random ids beside that of sampling
		"00-" + traceID + "-" + spanID + "-ff":        traceID,
		"01-" + traceID + "-" + spanID + "-0b":        traceID,
		"cc-" + traceID + "-" + spanID + "-01-a-part": traceID,
		"cc-" + traceID + "-" + spanID + "-01-":       traceID,

		"":                                     "",
		"00":                                   "",
		good[:54]:                              "",
		good + "-more":                         "", // version 00 has no more
		good + "a":                             "",
		"01" + good[2:] + "a":                  "",
		" " + good:                             "",
		good + " ":                             "",
		"ff" + good[2:]:                        "", // no version
		"0G" + good[2:]:                        "",
		"00-" + traceID + "-" + spanID + "-00": "", // not sampled
		"00-" + traceID + "-" + spanID + "-fe": "",
		"00-" + traceID + "-" + spanID + "-0a": "",
		"00-" + traceID + "-" + spanID + "-0h": "",
		"00-" + traceID + "-" + spanID + "-x1": "",
		"00_" + traceID + "-" + spanID + "-01": "",
		"00-" + traceID + "_" + spanID + "-01": "",
		"00-" + traceID + "-" + spanID + "_01": "",
		strings.ToUpper(good):                  "",
		strings.Replace(good, traceID, strings.Repeat("0", 32), 1): "",
		strings.Replace(good, spanID, strings.Repeat("0", 16), 1):  "",
		strings.Replace(good, "0af7", `0a"\`, 1):                   "",
		strings.Replace(good, "0af7", "0a\n}", 1):                  "",
		strings.Replace(good, "0af7", "0a\xff\xfe", 1):             "",
		strings.Replace(good, "b7ad", "b7AD", 1):                   "",
	} {
		if got := SampledTrace([]string{value}).String(); got != want {
			t.Errorf("%q: trace %q, want %q", value, got, want)
		}
	}
	if got := SampledTrace(nil); got != (Trace{}) {
		t.Errorf("no header: trace %q", got)
	}
	if got := SampledTrace([]string{good, good}); got != (Trace{}) {
		t.Errorf("two headers: trace %q", got)
	}
}

func TestSampledTraceAllocatesNothing(t *testing.T) {
	header := []string{"00-" + traceID + "-" + spanID + "-01"}
	if n := testing.AllocsPerRun(100, func() { SampledTrace(header) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever a client sends, what comes out is an id or nothing.
func FuzzSampledTrace(f *testing.F) {
	f.Add("00-" + traceID + "-" + spanID + "-01")
	f.Add("cc-" + traceID + "-" + spanID + "-01-what")
	f.Add("00-" + strings.Repeat("0", 32) + "-" + spanID + "-01")
	id := regexp.MustCompile(`^[0-9a-f]{32}$`)
	f.Fuzz(func(t *testing.T, value string) {
		got := SampledTrace([]string{value}).String()
		if got != "" && (!id.MatchString(got) || !strings.Contains(value, got) || strings.Trim(got, "0") == "") {
			t.Errorf("%q: trace %q", value, got)
		}
	})
}
