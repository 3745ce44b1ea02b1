package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	Rounds   int
	Seconds  float64
	Warm     float64
	Cases    []loadCase
	Proxies  []string // names, in the order of proxies
	Cores    string
	Dir      string // for results and what proxies write
	Attache  string
	Tools    string
	Docs     string // the folder of the documentation
	Write    bool   // into Docs even what is no full run
	Quick    bool
	Render   string // results to show instead of a run
	complete bool   // every case and proxy, long enough for intervals of wantedLevel
}

const usage = `Compare attache with other proxies in front of the same upstream.

  make bench
  make bench ARGS="--quick"
  make bench ARGS="--rounds 7 --seconds 5 --cases small,tls --proxies attache,nginx"

Each proxy adds the same header, is pinned to one core and meets the same load.
The results are printed and kept in build/bench/partial.json. A full run, of all
cases and all proxies with at least 6 rounds of at least 0.5 s, keeps them in
build/bench/results.json instead, and rewrites the generated parts of
docs/performance.md, and docs/pictures/performance.svg.

Let the machine do nothing else meanwhile. ^C ends everything that was started.

`

// parseOptions reads the command line. It returns flag.ErrHelp if help was
// asked for, and writes it to w.
func parseOptions(args []string, w io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		fmt.Fprint(w, usage, "Flags:\n")
		flags.PrintDefaults()
		fmt.Fprint(w, "\nCases:\n")
		for _, c := range cases() {
			fmt.Fprintf(w, "  %-9s %s\n", c.Name, c.About)
		}
		fmt.Fprint(w, "\nProxies:\n")
		for _, p := range proxies("", "") {
			fmt.Fprintf(w, "  %-16s %s\n", p.Name, p.About)
		}
	}
	flags.IntVar(&o.Rounds, "rounds", 9, "`number` of rounds; medians over them are shown. An interval of 95 % takes at least 6")
	flags.Float64Var(&o.Seconds, "seconds", 0.8, "`seconds` that are measured for each proxy in each round")
	flags.Float64Var(&o.Warm, "warm", 0.25, "`seconds` of load before that")
	chosenCases := flags.String("cases", "", "comma-separated `names`; all by default")
	chosenProxies := flags.String("proxies", "", "comma-separated `names`; all by default")
	flags.StringVar(&o.Cores, "cores", "", "`LOAD,PROXY`: the core for load and upstream, and the proxies' core; the first two by default")
	flags.BoolVar(&o.Quick, "quick", false, "a smoke test: 1 round of 0.3 s. Its figures mean nothing")
	flags.BoolVar(&o.Write, "docs", false, "rewrite the documentation even after a run that is not a full one")
	flags.StringVar(&o.Render, "render", "", "measure nothing: show the results in `FILE` and rewrite the documentation")
	flags.StringVar(&o.Dir, "dir", "build/bench", "`folder` for results and what the proxies write")
	flags.StringVar(&o.Attache, "attache", "build/attache", "attache's `program`")
	flags.StringVar(&o.Tools, "tools", "build/tools", "`folder` with caddy")
	flags.StringVar(&o.Docs, "docs-dir", "docs", "`folder` of the documentation")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("there is no argument %q; -h lists the flags", flags.Arg(0))
	}
	return o, o.finish(*chosenCases, *chosenProxies)
}

func (o *options) finish(chosenCases, chosenProxies string) error {
	if o.Quick {
		o.Rounds, o.Seconds, o.Warm = 1, 0.3, 0.1
	}
	if o.Rounds < 1 || o.Rounds > 1000 || !(o.Seconds >= 0.1 && o.Seconds <= 600) || !(o.Warm >= 0 && o.Warm <= 60) {
		return errors.New("rounds must be 1 to 1000, seconds 0.1 to 600, warm 0 to 60")
	}
	names, err := choose("cases", chosenCases, caseNames())
	if err != nil {
		return err
	}
	for _, c := range cases() {
		if slices.Contains(names, c.Name) {
			o.Cases = append(o.Cases, c)
		}
	}
	if o.Proxies, err = choose("proxies", chosenProxies, proxyNames()); err != nil {
		return err
	}
	for _, c := range o.Cases {
		if o.turns(c) == 0 {
			return fmt.Errorf("--proxies: none of these takes part in the case %s; -h tells which cases they are for", c.Name)
		}
	}
	_, level := confidence(o.Rounds)
	o.complete = len(o.Cases) == len(cases()) && len(o.Proxies) == len(proxyNames()) && level >= wantedLevel && o.Seconds >= 0.5
	return nil
}

// choose returns the wished names in the order of all.
func choose(what, wish string, all []string) ([]string, error) {
	if wish == "" {
		return all, nil
	}
	var wished []string
	for name := range strings.SplitSeq(wish, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("--%s: there is no %q; there are %s", what, name, strings.Join(all, ", "))
		}
		wished = append(wished, name)
	}
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !slices.Contains(wished, name) }), nil
}

// turns is how many proxies take part in a case.
func (o *options) turns(c loadCase) int {
	n := 0
	for _, p := range proxies("", "") {
		if slices.Contains(o.Proxies, p.Name) && p.takesPart(c) {
			n++
		}
	}
	return n
}

// allTurns is how many proxies take part in all cases together.
func (o *options) allTurns() int {
	n := 0
	for _, c := range o.Cases {
		n += o.turns(c)
	}
	return n
}

// estimate is about how long the run takes.
func (o *options) estimate() time.Duration {
	const start, between = 0.6, 0.03 // seconds
	each := start + float64(o.Rounds)*(o.Seconds+o.Warm+between)
	return seconds(each * float64(o.allTurns()))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
