package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/terminal"
	"attache/internal/yamldoc"
)

// probePaths are the paths of the probes.
var probePaths = map[string]string{"ready": "/readyz", "live": "/livez", "startup": "/startupz"}

func newHealthcheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running attache how it is",
		Long: `healthcheck asks the admin address of an attache on this machine whether it is
ready, and exits with 0 if so. Otherwise it prints why, in one line on standard
output, and exits with 1. It is for probes that run a command in a container:

  attache healthcheck --probe live

Of the configuration that -c names it reads the admin address alone.`,
		Args: exactArgs(0, "no arguments"),
	}
	at := newAdminAt(cmd)
	probe := cmd.Flags().String("probe", "ready", "`PROBE`: ready, live or startup")
	_ = cmd.RegisterFlagCompletionFunc("probe", cobra.FixedCompletions([]cobra.Completion{"ready", "live", "startup"}, cobra.ShellCompDirectiveNoFileComp))
	timeout := cmd.Flags().Duration("timeout", 3*time.Second, "`DURATION` that the answer may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, known := probePaths[*probe]
		switch {
		case !known:
			return usagef("--probe is ready, live or startup%s", yamldoc.DidYouMean(*probe, []string{"ready", "live", "startup"}))
		case *timeout <= 0:
			return usagef("--timeout must be more than 0")
		}
		target, given, err := at.find()
		var problems yamldoc.Problems
		switch {
		case errors.As(err, &problems):
			return &unhealthyError{terminal.OneLine(err.Error())}
		case err != nil:
			return err
		case !given:
			target.Path = path
		case cmd.Flags().Changed("probe"):
			return usagef("--url takes the place of --probe")
		}
		return askHealth(cmd.Context(), target.String(), *timeout)
	}
	return cmd
}

// unhealthyError says why a check failed. It goes to standard output, which is
// what kubectl describe and docker inspect show.
type unhealthyError struct{ text string }

func (e *unhealthyError) Error() string { return e.text }

// maxReason bounds what is read of an answer, in bytes.
const maxReason = 2 << 10

// askHealth returns an *unhealthyError unless the answer is 200 or the like. It
// follows no redirect and asks no proxy: those could be healthy instead.
func askHealth(ctx context.Context, target string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return usagef("--url: %v", err)
	}
	unhealthy := func(format string, args ...any) error { // without a password
		return &unhealthyError{terminal.OneLine(r.URL.Redacted() + ": " + fmt.Sprintf(format, args...))}
	}
	ans, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	var reason []byte
	if err == nil {
		defer ans.Body.Close()
		reason, err = io.ReadAll(io.LimitReader(ans.Body, maxReason))
	}
	switch e, isNet := errors.AsType[net.Error](err); {
	case isNet && e.Timeout() || ctx.Err() != nil:
		return unhealthy("no answer within %s", timeout)
	case err != nil:
		return unhealthy("%v", err)
	case ans.StatusCode >= 300 || ans.StatusCode < 200:
		return unhealthy("%d: %s", ans.StatusCode, cmp.Or(string(reason), http.StatusText(ans.StatusCode)))
	}
	return nil
}
