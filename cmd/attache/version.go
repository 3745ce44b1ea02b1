package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and revision are set by the linker (-X main.version=…).
var version, revision string

// build returns version and revision: what the linker set, else what the Go
// command stamped.
func build() (string, string) {
	v, r := version, revision
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && r == "" {
				r = s.Value
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if r == "" {
		r = "unknown"
	}
	return v, r
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, r := build()
			fmt.Fprintf(cmd.OutOrStdout(), "attache %s (revision %s, %s, %s/%s)\n", v, r, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
