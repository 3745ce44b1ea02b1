// Package machine tells where a bench ran, for the page with its figures. It reads
// Linux' /proc.
package machine

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where something ran. What cannot be found out is empty.
type Machine struct {
	CPU                   string
	Cores                 int
	Kernel                string
	Virtual               bool
	MemoryBytes           int64
	LoadBefore, LoadAfter string // one, five and fifteen minutes; see [LoadAverage]
}

// Describe tells of this machine, with its load as LoadBefore.
func Describe() Machine {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	memory, _ := os.ReadFile("/proc/meminfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m := Machine{Kernel: "Linux " + strings.TrimSpace(string(kernel)) + " " + runtime.GOARCH, LoadBefore: LoadAverage()}
	m.CPU, m.Cores, m.Virtual = parseCPUInfo(string(cpu))
	m.MemoryBytes = parseMemTotal(string(memory))
	return m
}

// parseCPUInfo reads /proc/cpuinfo. A hypervisor tells its guests of itself with
// a flag, on x86.
func parseCPUInfo(text string) (model string, cores int, virtual bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			cores++
		case "model name":
			model = strings.TrimSpace(value)
		case "flags":
			virtual = virtual || strings.Contains(" "+strings.TrimSpace(value)+" ", " hypervisor ")
		}
	}
	return model, cores, virtual
}

func parseMemTotal(text string) int64 {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// LoadAverage returns the averages over one, five and fifteen minutes.
func LoadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(len(fields), 3)], " ")
}
