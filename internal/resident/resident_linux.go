package resident

import (
	"os"
	"syscall"
)

// ForgetStart gives back the pages of the program's file that are mapped. It is
// for the moment when a program has started and before it begins to serve. It
// takes a millisecond, and does nothing where the kernel does not say what is
// mapped.
func ForgetStart() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, r := range regions(smaps, program) {
		// Unchanged pages of a file are the same when they are mapped again. An
		// error leaves them where they are.
		_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, r.from, r.length, syscall.MADV_DONTNEED)
	}
}
