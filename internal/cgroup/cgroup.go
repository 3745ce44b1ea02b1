// Package cgroup reads how much memory the kernel lets this process use (Linux
// control groups), and says what the Go runtime should make of it. The runtime
// itself looks at the limit of CPU time alone: it sets GOMAXPROCS by it, and
// follows its changes (see [runtime.GOMAXPROCS]).
package cgroup

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// unlimited is from where on a limit is none: version 1 writes the largest whole
// number of pages instead of a word.
const unlimited = 1 << 62

// MemoryLimit returns the number of bytes of memory that the process may use: the
// smallest limit of its control group and of those above, in version 1 or 2. root
// is the root of the file system, as [os.DirFS] has it. ok is false if there is no
// limit, or none that can be read, as on other systems than Linux.
func MemoryLimit(root fs.FS) (limit int64, ok bool) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	limit = unlimited
	for line := range strings.Lines(string(groups)) { // hierarchy:controllers:path
		hierarchy, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, group, found := strings.Cut(rest, ":")
		switch {
		case !found:
		case hierarchy == "0" && controllers == "":
			limit = min(limit, smallest(root, "sys/fs/cgroup", group, "memory.max"))
		case hasController(controllers, "memory"):
			limit = min(limit, smallest(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	return limit, limit < unlimited
}

func hasController(list, name string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// smallest returns the smallest limit of a group and of all above it, up to the
// mount point. What is missing limits nothing: in a container the mount may show
// the container's own group as its root, while the group's path is that of the
// host; and the root of all has no limit.
func smallest(root fs.FS, mount, group, file string) int64 {
	limit := int64(unlimited)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		if n, ok := read(root, path.Join(mount, group, file)); ok {
			limit = min(limit, n)
		}
		if group == "/" {
			return limit
		}
	}
}

// read reads a limit; "max" is none.
func read(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && n > 0
}

// GoMemoryLimit returns what [debug.SetMemoryLimit] should be called with: 90 % of
// the memory that the process may use, so that the garbage collector works harder
// before the kernel kills the process; the rest is for what is not Go's. ok is
// false if there is no such limit, or if environment, the value of GOMEMLIMIT,
// says what holds.
//
// [debug.SetMemoryLimit]: https://pkg.go.dev/runtime/debug#SetMemoryLimit
func GoMemoryLimit(root fs.FS, environment string) (bytes int64, ok bool) {
	if environment != "" {
		return 0, false
	}
	limit, ok := MemoryLimit(root)
	if !ok {
		return 0, false
	}
	return limit / 10 * 9, true
}
