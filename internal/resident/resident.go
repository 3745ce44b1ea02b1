// Package resident gives memory back that only the start of a program needed:
// the pages of its own file that the kernel has mapped.
//
// A start runs code of nearly every package once, to set its variables, and reads
// a configuration. The kernel maps the pages of the file that this touches, and
// their neighbours, 64 KiB at a time; for a program of 16 MiB nearly the whole of
// it. They stay mapped, and count as resident memory, though hardly any of them is
// looked at again. Given back, they cost nobody anything: what is used is mapped
// again from the kernel's cache of the file, a microsecond or two for each 64 KiB,
// once. The rest need not be there: a node that is short of memory can drop it from
// its cache without looking who has it mapped, and the process weighs less when
// the kernel looks for one to kill.
package resident

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// region is a range of addresses that a file is mapped to.
type region struct{ from, length uintptr }

// regions reads /proc/PID/smaps for the ranges of the program that may be given
// back: those of its file that it can read and run, not write. What somebody
// changed there, in a debugger or to trace a function (uprobes), would be lost, so
// that a range with changed pages, which belong to no file, stays.
func regions(smaps io.Reader, program string) []region {
	var list []region
	var at region
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch {
		case !strings.HasSuffix(key, ":"): // the first line of a range: 00400000-00401000 r-xp 00000000 fe:00 12 /attache
			at = region{}
			if mode, _, _ := strings.Cut(value, " "); (mode == "r-xp" || mode == "r--p") && strings.HasSuffix(value, " "+program) {
				at = parseRange(key)
			}
		case key == "Anonymous:" && strings.TrimSpace(value) == "0 kB" && at.length > 0:
			list = append(list, at)
		}
	}
	return list
}

// parseRange reads two addresses such as 00400000-00401000; what is wrong has no
// length.
func parseRange(text string) region {
	first, last, _ := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(first, 16, 64)
	to, err2 := strconv.ParseUint(last, 16, 64)
	if err1 != nil || err2 != nil || to <= from {
		return region{}
	}
	return region{uintptr(from), uintptr(to - from)}
}
