package resident

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Much of a program that has started is not mapped any more afterwards, and all of it
// still works.
func TestForgetStartGivesBack(t *testing.T) {
	touchAll(t)
	before := mapped(t)
	ForgetStart()
	after := mapped(t)
	t.Logf("%d kB of the program were mapped, %d kB are", before, after)
	if before == 0 {
		t.Fatal("nothing of the program was mapped: the test looks in the wrong place")
	}
	if after >= before {
		t.Errorf("%d kB of the program were mapped, and %d kB still are", before, after)
	}
	touchAll(t)
}

// touchAll reads every page that [regions] names: a program that lost one would
// end here.
func touchAll(t *testing.T) {
	t.Helper()
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skip(err)
	}
	defer memory.Close()
	for _, r := range ownRegions(t) {
		for at := r.from; at < r.from+r.length; at += 4096 {
			if _, err := memory.ReadAt(make([]byte, 1), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func ownRegions(t *testing.T) []region {
	t.Helper()
	list := regions(strings.NewReader(smaps(t)), program(t))
	if len(list) == 0 {
		t.Skip("this kernel does not say what is mapped")
	}
	return list
}

// mapped returns how many kB of the program's file are mapped.
func mapped(t *testing.T) int {
	t.Helper()
	ranges := ownRegions(t)
	sum, isOwn := 0, false
	for line := range strings.Lines(smaps(t)) {
		fields := strings.Fields(line)
		switch {
		case !strings.HasSuffix(fields[0], ":"):
			isOwn = slices.Contains(ranges, parseRange(fields[0]))
		case isOwn && fields[0] == "Rss:":
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

func smaps(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	return string(text)
}

func program(t *testing.T) string {
	t.Helper()
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	return path
}
