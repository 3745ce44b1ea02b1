package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of times in /proc: 100 on all
// architectures that Go runs on.
const ticksPerSecond = 100

func procPath(pid int) string { return "/proc/" + strconv.Itoa(pid) }

// procStat is what is needed of /proc/PID/stat.
type procStat struct {
	State        string // Z: it ended, and its parent has not asked how
	Parent       int
	Group        int    // of processes, as for signals
	User, System uint64 // ticks
}

// parseProcStat reads /proc/PID/stat. The name of the program stands in
// parentheses and may contain anything, so that fields are counted from the
// last one that closes.
func parseProcStat(text string) (procStat, error) {
	at := strings.LastIndexByte(text, ')')
	if at < 0 {
		return procStat{}, fmt.Errorf("read the state of a process: no name in %q", text)
	}
	fields := strings.Fields(text[at+1:])
	const parent, group, user, system = 1, 2, 11, 12
	if len(fields) <= system {
		return procStat{}, fmt.Errorf("read the state of a process: %d fields are too few", len(fields))
	}
	p, err1 := strconv.Atoi(fields[parent])
	g, err2 := strconv.Atoi(fields[group])
	u, err3 := strconv.ParseUint(fields[user], 10, 64)
	s, err4 := strconv.ParseUint(fields[system], 10, 64)
	return procStat{fields[0], p, g, u, s}, errors.Join(err1, err2, err3, err4)
}

// tree returns a process and its descendants, given the parent of each process.
func tree(root int, parents map[int]int) []int {
	found := []int{root}
	for i := 0; i < len(found); i++ {
		var children []int
		for pid, parent := range parents {
			if parent == found[i] {
				children = append(children, pid)
			}
		}
		slices.Sort(children)
		found = append(found, children...)
	}
	return found
}

// processTree returns a process and its descendants as they are now.
func processTree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(procPath(pid) + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		if stat, err := parseProcStat(string(text)); err == nil {
			parents[pid] = stat.Parent
		}
	}
	return tree(root, parents), nil
}

// parseRSS reads the resident memory in bytes from /proc/PID/status.
func parseRSS(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("read the memory of a process: there is no VmRSS")
}

// residentMemory returns the resident memory of processes together. Pages that
// they share count for each.
func residentMemory(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		text, err := os.ReadFile(procPath(pid) + "/status")
		if err != nil {
			return 0, err
		}
		rss, err := parseRSS(string(text))
		if err != nil {
			return 0, err
		}
		sum += rss
	}
	return sum, nil
}

// coreTimes is what a core did since the machine started.
type coreTimes struct {
	Busy, Idle, Steal time.Duration // Busy includes Steal
}

func (t coreTimes) minus(before coreTimes) coreTimes {
	return coreTimes{t.Busy - before.Busy, t.Idle - before.Idle, t.Steal - before.Steal}
}

// parseCoreTimes reads the line of a core in /proc/stat.
func parseCoreTimes(text string, core int) (coreTimes, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != fmt.Sprintf("cpu%d", core) {
			continue
		}
		// user nice system idle iowait irq softirq steal; what follows is
		// counted in user and nice already.
		var t coreTimes
		for i, field := range fields[1:9] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return coreTimes{}, fmt.Errorf("read the times of core %d: %w", core, err)
			}
			d := time.Duration(ticks) * (time.Second / ticksPerSecond)
			switch i {
			case 3, 4:
				t.Idle += d
			case 7:
				t.Steal, t.Busy = d, t.Busy+d
			default:
				t.Busy += d
			}
		}
		return t, nil
	}
	return coreTimes{}, fmt.Errorf("read the times of core %d: /proc/stat does not name it", core)
}

// parseCores reads a list of cores such as 0-2,5.
func parseCores(text string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 0 || to < from || to > 1023 {
			return nil, fmt.Errorf("%q is no list of cores", text)
		}
		for core := from; core <= to; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// allowedCores returns the cores that this process may use.
func allowedCores() ([]int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	_, rest, found := bytes.Cut(text, []byte("Cpus_allowed_list:"))
	if !found {
		return nil, errors.New("read the allowed cores: /proc/self/status has none")
	}
	list, _, _ := bytes.Cut(rest, []byte("\n"))
	return parseCores(string(list))
}

// splitTime divides a process's exact time by its ticks in user mode and in the
// kernel, which are coarse.
func splitTime(total time.Duration, userTicks, systemTicks uint64) (user, system time.Duration) {
	if userTicks+systemTicks == 0 {
		return total, 0
	}
	user = time.Duration(float64(total) * float64(userTicks) / float64(userTicks+systemTicks))
	return user, total - user
}
