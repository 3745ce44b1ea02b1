package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"attache/internal/machine"
)

func main() { os.Exit(realMain(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line says.
type options struct {
	users, rounds int
	docs, profile string
}

// realMain returns the exit code: 0, 1 if something broke, 2 for a wrong command
// line.
func realMain(args []string, stdout, stderr io.Writer) int {
	var opt options
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&opt.users, "users", 100_000, "how many users have a token; docs/scale.md is written for 100000 alone")
	flags.IntVar(&opt.rounds, "rounds", 3, "how often everything is measured that differs from time to time")
	flags.StringVar(&opt.docs, "docs", "docs", "where scale.md is; empty: write nothing")
	flags.StringVar(&opt.profile, "cpuprofile", "", "write a CPU profile to this file")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil, opt.users < 1000, opt.rounds < 1:
		fmt.Fprintln(stderr, "scale: want at least 1000 users and 1 round")
		return 2
	}
	if err := run(opt, stdout); err != nil {
		fmt.Fprintln(stderr, "scale:", err)
		return 1
	}
	return 0
}

func run(opt options, stdout io.Writer) error {
	if opt.profile != "" {
		f, err := os.Create(opt.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	res, err := measure(opt, stdout)
	if err != nil {
		return err
	}
	text := res.text()
	fmt.Fprint(stdout, "\n"+text)
	if opt.docs == "" || opt.users != 100_000 {
		return nil
	}
	return writePage(opt.docs+"/scale.md", text)
}

// results are everything that was measured.
type results struct {
	Machine     machine.Machine
	Started     time.Time
	Took        time.Duration
	Users       int
	Memory      memory
	Rounds      [][]phase // of each round, in the same order
	Refreshes   []time.Duration
	RefreshRate float64 // a second, of the last round
	Removals    []removal
	Storm       storm
}

func measure(opt options, progress io.Writer) (*results, error) {
	r := &results{Machine: machine.Describe(), Started: time.Now(), Users: opt.users}
	step := func(what string, args ...any) {
		fmt.Fprintf(progress, "%4.0f s  %s\n", time.Since(r.Started).Seconds(), fmt.Sprintf(what, args...))
	}
	step("%d users log in", opt.users)
	c, m, err := measureMemory(opt.users)
	defer c.end()
	if err != nil {
		return nil, err
	}
	r.Memory = m
	few, err := newCrowd(newUsers(1000))
	defer few.end()
	if err != nil {
		return nil, err
	}
	var next atomic.Int64
	for i := range opt.rounds {
		step("round %d of %d", i+1, opt.rounds)
		if err := r.round(c, few, &next); err != nil {
			return nil, err
		}
	}
	step("all tokens are refused")
	if r.Storm, err = measureStorm(c); err != nil {
		return nil, err
	}
	r.Took, r.Machine.LoadAfter = time.Since(r.Started), machine.LoadAverage()
	return r, nil
}

// round measures each phase once.
func (r *results) round(c, few *crowd, next *atomic.Int64) error {
	const lasts = 1500 * time.Millisecond
	if err := c.renew(long); err != nil {
		return err
	}
	phases := []phase{
		observe("1,000 instances, idle", few, next, false, false, lasts),
		observe("all, idle", c, next, false, false, lasts),
	}
	if err := c.renew(short); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // until the first of them are due
	each, n := refreshCost(c, lasts)
	r.Refreshes = append(r.Refreshes, each)
	r.RefreshRate = float64(n) / lasts.Seconds()
	phases = append(phases,
		observe("all, refreshing", c, next, false, false, lasts),
		observe("and new users, scrapes and reloads", c, next, true, true, 2*lasts))
	r.Rounds = append(r.Rounds, phases)
	c.life.Store(int64(long))
	gone, err := measureRemoval(c)
	r.Removals = append(r.Removals, gone)
	return err
}
