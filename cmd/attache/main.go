// Command attache runs beside an application, adds the credentials that each
// upstream wants to the application's requests, and keeps those credentials
// fresh.
//
// Exit codes: 0 done or drained, 1 failure at run time, 2 wrong usage or
// configuration, 130 or 143 when a second signal or the deadline cut the drain.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"attache/internal/app"
	"attache/internal/terminal"
	"attache/internal/yamldoc"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitCut    = -1 // the drain was cut: 130 or 143, as the signal says
)

func main() { os.Exit(start(os.Args[1:], os.Stdout, os.Stderr)) }

// start runs one command line until it ends or a signal ends it, and returns
// the exit code.
func start(args []string, stdout, stderr io.Writer) int {
	// net/http writes to the standard logger what a peer sent without being
	// asked, and that may be a token.
	log.SetOutput(io.Discard)
	ctx, stop := signals(stderr)
	defer stop()
	code := run(ctx, args, stdout, stderr)
	if code == exitCut {
		return signalCode(context.Cause(ctx))
	}
	return code
}

// caught is the cause of a context that a signal ended.
type caught struct{ os.Signal }

// Error names the signal as its senders do.
func (c caught) Error() string {
	if c.Signal == os.Interrupt {
		return "SIGINT"
	}
	return "SIGTERM"
}

// signals returns a context that ends at the first SIGINT or SIGTERM. The
// second one ends the process at once with 130 or 143: whoever sends it no
// longer wants to wait for the drain.
func signals(stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	incoming := make(chan os.Signal, 2)
	signal.Notify(incoming, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(caught{<-incoming})
		second := caught{<-incoming}
		fmt.Fprintf(stderr, "attache: a second signal, %v, ended it at once\n", second)
		os.Exit(signalCode(second))
	}()
	return ctx, func() { signal.Stop(incoming) }
}

// signalCode returns 128 plus the number of the signal, as shells do.
func signalCode(cause error) int {
	if c, ok := cause.(caught); ok && c.Signal == os.Interrupt {
		return 130
	}
	return 143
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		plainUsages(root)
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(root.ExecuteContext(ctx), stdout, stderr)
}

// report tells what an error is to those who wait for it, and returns the exit
// code.
func report(err error, stdout, stderr io.Writer) int {
	var problems yamldoc.Problems
	var usage *usageError
	var unhealthy *unhealthyError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &problems):
		for _, p := range problems {
			terminal.Say(stderr, terminal.Bold, p.Place(), strings.TrimPrefix(p.String(), p.Place()))
		}
		return exitUsage
	case errors.As(err, &unhealthy):
		terminal.Say(stdout, 0, "", unhealthy.Error())
		return exitFailed
	}
	terminal.Say(stderr, terminal.Bad, "attache: ", err.Error())
	switch {
	case errors.Is(err, app.ErrDrainCut):
		return exitCut
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRoot() *cobra.Command {
	v, _ := build()
	root := &cobra.Command{
		Use:     "attache",
		Version: v,
		Short:   "Adds fresh credentials to an application's requests",
		Long: `attache runs beside an application. The application sends plain requests to it
on localhost; attache adds the credentials that each upstream wants and keeps
them fresh in the background.

  attache demo                 see it work, with nothing to configure
  attache check -c FILE        find every mistake in a configuration
  attache run -c FILE          run the proxy
  attache top -c FILE          watch it run`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
			return usagef("%v%s", err, orHelp(yamldoc.DidYouMean("--"+unknown.GetSpecifiedName(), flagNames(cmd)), cmd))
		}
		return usagef("%v%s", err, orHelp("", cmd))
	})
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(newRun(), newDemo(), newCheck(), newToken(), newRecipes(), newSchema(), newEmulate(), newTop(), newHealthcheck(), newCA(), newVersion())
	return root
}

// unknownCommand is the error of a command that is none of cmd's.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return usagef("unknown command %q%s", name, orHelp(yamldoc.DidYouMean(name, names), cmd))
}

// orHelp is a hint, or if there is none where help is.
func orHelp(hint string, cmd *cobra.Command) string {
	if hint == "" {
		return "; see " + cmd.CommandPath() + " --help"
	}
	return hint
}

// flagNames returns the flags of cmd as they are written.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

// exactArgs is cobra.ExactArgs with an error that counts as wrong usage.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %s; see %s --help", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// defaultConfig is the configuration of those who name none.
const defaultConfig = "attache.yaml"

// configFlag adds -c.
func configFlag(cmd *cobra.Command) *string {
	file := cmd.Flags().StringP("config", "c", defaultConfig, "the configuration `FILE`")
	_ = cmd.MarkFlagFilename("config", yamlFiles()...) // the flag exists
	return file
}
