package machine

import "testing"

func TestCPUInfo(t *testing.T) {
	model, cores, virtual := parseCPUInfo("processor\t: 0\nmodel name\t: Fast 3000\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\nmodel name\t: Fast 3000\nflags\t\t: fpu hypervisor\n")
	if model != "Fast 3000" || cores != 2 || !virtual {
		t.Errorf("%q %d %v", model, cores, virtual)
	}
	if _, _, virtual := parseCPUInfo("flags\t\t: fpu nohypervisor\n"); virtual {
		t.Error("a part of a flag's name counts")
	}
	if got := parseMemTotal("MemTotal:       2048 kB\nMemFree: 1 kB\n"); got != 2<<20 {
		t.Errorf("memory %d", got)
	}
}
