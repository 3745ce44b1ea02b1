package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/demo"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: emulated vendors, live traffic, things that break",
		Long: `demo starts emulated vendors whose tokens live a few seconds, the proxy in front
of them and an application that knows nothing about tokens. Now and then it
revokes a token or takes a login down, and shows how that heals. Everything
listens on loopback only, on any free port if an address is taken; nothing is
configured and nothing is written.

It exits with 0 only if no request failed, and no vendor saw more logins than
its rotations and revocations call for.`,
		Args: exactArgs(0, "no arguments"),
	}
	limit := cmd.Flags().Duration("for", 0, "end after so long and sum it up; 0: end at Ctrl-C")
	listen := cmd.Flags().String("listen", "127.0.0.1:8484", "the proxy's `ADDRESS`")
	admin := cmd.Flags().String("admin", "127.0.0.1:8485", "the admin API's `ADDRESS`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 || *limit > 24*time.Hour {
			return usagef("--for wants a duration of up to 24h")
		}
		for _, address := range []string{*listen, *admin} {
			if !isLoopback(address) {
				return usagef("%s: the demo serves on loopback only, such as 127.0.0.1:8484", address)
			}
		}
		out := cmd.OutOrStdout()
		v, _ := build()
		return demo.Run(cmd.Context(), demo.Options{
			For: *limit, Out: out, Getenv: os.Getenv,
			Listen: *listen, Admin: *admin, Version: v,
		})
	}
	return cmd
}
