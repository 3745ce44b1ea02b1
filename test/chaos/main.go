package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"attache/internal/machine"
)

// options are the flags.
type options struct {
	seed      uint64
	quick     bool
	parts     string
	processes int
	requests  int64
	rate      float64
	dir       string
	page      string
	picture   string
	figures   string
	render    string
	memory    bool
	debug     bool
	breakage  string
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "chaos:", err)
		}
		os.Exit(1)
	}
}

func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(out)
	f.Uint64Var(&o.seed, "seed", 0, "seed of the plans; 0: another one each time")
	f.BoolVar(&o.quick, "quick", false, "everything once, in a minute and a half, with fewer processes; writes no page")
	f.StringVar(&o.parts, "parts", "", "which parts to run: steady, outage, soak, file, with commas; empty: all")
	f.IntVar(&o.processes, "processes", 0, "how many processes share a Redis; 0: 20, or 8 with --quick")
	f.Int64Var(&o.requests, "requests", -1, "requests of the soak; -1: a million, or as many as come with --quick")
	f.Float64Var(&o.rate, "rate", 0, "requests a second in the soak; a third of it elsewhere; 0: 3100, or 600 with --quick")
	f.StringVar(&o.dir, "dir", "build/chaos", "where configurations, logs and timelines are kept")
	f.StringVar(&o.page, "page", "", "the page that results are written into")
	f.StringVar(&o.picture, "picture", "", "the picture of the soak that is written")
	f.StringVar(&o.figures, "figures", "", "where what that picture shows is kept, so that a test can draw it anew")
	f.StringVar(&o.render, "render", "", "break nothing: write page and picture of the results in this file, a build/chaos/results.json")
	f.BoolVar(&o.memory, "memory", false, "one process that shares nothing: a test of the bench itself, with --parts steady")
	f.BoolVar(&o.debug, "debug", false, "have the processes log everything")
	f.StringVar(&o.breakage, "break", "", "make a mistake that the bench must find: "+strings.Join(breakages(), ", "))
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.breakage != "" && !slices.Contains(breakages(), o.breakage) {
		return o, fmt.Errorf("--break is one of %s", strings.Join(breakages(), ", "))
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	full := !o.quick
	if o.memory {
		o.processes = 1
	}
	set(&o.processes, 20, 8, full)
	set(&o.rate, 3100, 600, full)
	if o.requests < 0 {
		o.requests = 0
		if full {
			o.requests = 1_000_000
		}
	}
	if o.processes > most-2 {
		return o, fmt.Errorf("--processes is at most %d", most-2)
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}

func set[T int | float64](v *T, full, quick T, isFull bool) {
	if *v != 0 {
		return
	}
	*v = quick
	if isFull {
		*v = full
	}
}

// run runs the bench and returns an error if anything was not as it should be.
func run(args []string, out io.Writer) error {
	o, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	if o.render != "" {
		rep, err := loadReport(o.render)
		if err != nil {
			return err
		}
		return rep.writeDocs(o)
	}
	all, err := o.chosen()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintf(out, "chaos: seed %d; logs and timelines in %s\n", o.seed, o.dir)
	b, err := build(o.dir, slices.ContainsFunc(all, func(p *part) bool { return p.clocks > 0 }))
	if err != nil {
		return err
	}
	rep := &report{Started: time.Now(), Seed: o.seed, Machine: machine.Describe(), Processes: o.processes}
	ports := &ports{}
	for _, p := range all {
		r, err := p.run(o.dir, b, ports, out)
		if err != nil {
			return fmt.Errorf("part %s: %w", p.Key, err)
		}
		if _, err := writePlan(o.dir, r); err != nil {
			return err
		}
		rep.Results = append(rep.Results, r)
		fmt.Fprint(out, r.text())
	}
	rep.Took = time.Since(rep.Started).Seconds()
	fmt.Fprint(out, rep.text())
	return errors.Join(rep.write(o), rep.verdict())
}

// chosen returns the parts to run.
func (o options) chosen() ([]*part, error) {
	all := parts(o)
	if o.parts == "" {
		return all, nil
	}
	var some []*part
	for key := range strings.SplitSeq(o.parts, ",") {
		n := slices.IndexFunc(all, func(p *part) bool { return p.Key == key })
		if n < 0 {
			return nil, fmt.Errorf("there is no part %q", key)
		}
		some = append(some, all[n])
	}
	return some, nil
}

// build builds attache, and where that is needed the one whose clock can be set.
func build(dir string, clocks bool) (b binaries, err error) {
	if b.plain, err = buildAttache(dir, false); err != nil || !clocks {
		return b, err
	}
	b.clock, err = buildAttache(dir, true)
	return b, err
}

// write writes the results, and what writeDocs does.
func (rep *report) write(o options) error {
	text, err := json.MarshalIndent(rep, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.dir, "results.json"), text, 0o600); err != nil {
		return err
	}
	return rep.writeDocs(o)
}

// loadReport reads what write wrote.
func loadReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rep := &report{}
	if err := json.Unmarshal(text, rep); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rep, nil
}

// writeDocs writes the page and the picture for which there are flags, and what
// the picture is drawn of.
func (rep *report) writeDocs(o options) error {
	if o.page != "" {
		if err := writePage(o.page, rep); err != nil {
			return err
		}
	}
	soak := rep.find("soak")
	if soak == nil {
		return nil
	}
	if o.figures != "" {
		if err := soak.keep(o.figures); err != nil {
			return err
		}
	}
	if o.picture != "" {
		return os.WriteFile(o.picture, []byte(drawPicture(soak)), 0o644)
	}
	return nil
}
