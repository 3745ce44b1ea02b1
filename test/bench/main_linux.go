package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(realMain(os.Args[1:], os.Stdout, os.Stderr)) }

// realMain returns the exit code: 0, 1 if something broke or a figure is not
// valid, 2 for a wrong command line, 130 after ^C.
func realMain(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == roleReverseProxy {
		fmt.Fprintln(stderr, serveReverseProxy(args[1:]))
		return 1
	}
	opt, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := compare(ctx, opt, stdout); {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "bench: interrupted; everything that was started has ended")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// compare measures, or reads what was measured, and shows it.
func compare(ctx context.Context, opt *options, stdout io.Writer) error {
	if opt.Render != "" {
		res, err := loadResults(opt.Render)
		if err != nil {
			return err
		}
		for _, c := range res.Cases {
			fmt.Fprintln(stdout, caseTable(c))
		}
		fmt.Fprintln(stdout, goalsTable(res))
		return writeDocs(opt.Docs, res)
	}
	loadCore, proxyCore, err := chooseCores(opt.Cores)
	if err != nil {
		return err
	}
	if err := pinSelf(loadCore, proxyCore); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	b := &bench{opt: opt, loadCore: loadCore, proxyCore: proxyCore, progress: newProgress(stdout, opt)}
	res, err := b.measure(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(opt.Dir, "results.json")
	if !opt.complete {
		path = filepath.Join(opt.Dir, "partial.json") // a smoke test must not cost a full run's results
	}
	if err := res.save(path); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n%s\n%sThe results are in %s; it took %s.\n", mainTable(res), goalsTable(res), noise(res), path, seconds(res.Took).Round(time.Second))
	if opt.complete || opt.Write {
		if err := writeDocs(opt.Docs, res); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s/performance.md and its picture were rewritten.\n", opt.Docs)
	} else {
		fmt.Fprintf(stdout, "The documentation was left alone: this was no full run (--docs or --render %s rewrites it all the same).\n", path)
	}
	return complaints(res)
}
