package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/top"
)

func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the tokens and routes of a running attache",
		Long: `top shows the state of an attache that runs, and draws it anew all the time:
every token with its phase, life and last error, every route with its requests,
and what happened last. What is in trouble comes first when not everything fits.
q and Ctrl-C end it.

It asks the admin listener, as healthcheck does. To a file or a pipe it writes
one picture.`,
		Args: exactArgs(0, "no arguments"),
	}
	at := newAdminAt(cmd)
	interval := cmd.Flags().Duration("interval", time.Second, "`DURATION` between two questions")
	once := cmd.Flags().Bool("once", false, "write one picture, whole, and end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < 100*time.Millisecond {
			return usagef("--interval wants a duration such as 1s, from 100ms")
		}
		target, _, err := at.find()
		if err != nil {
			return err
		}
		const path = "/api/status"
		target.Path = strings.TrimRight(strings.TrimSuffix(target.Path, path), "/") + path
		return top.Run(cmd.Context(), top.Options{
			URL: target.String(), Interval: *interval, Once: *once,
			In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Getenv: os.Getenv,
		})
	}
	return cmd
}
