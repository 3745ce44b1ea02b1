package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time of this process so far. Unlike time on the clock it
// says nearly the same whatever else the machine does.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// threadTime is the same of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// delays tells how long the thread that it was made on was kept waiting for a
// processor: it could have run, and the machine ran something else.
type delays struct{ file *os.File }

func newDelays() delays {
	f, err := os.Open("/proc/thread-self/schedstat")
	if err != nil {
		return delays{}
	}
	return delays{f}
}

func (d delays) close() { d.file.Close() }

// soFar returns the sum of all delays; 0 where the kernel does not tell.
func (d delays) soFar() time.Duration {
	var buf [64]byte
	n, _ := d.file.ReadAt(buf[:], 0) // of a nil file an error
	fields := bytes.Fields(buf[:n])
	if len(fields) < 2 {
		return 0
	}
	ns, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return time.Duration(ns)
}
