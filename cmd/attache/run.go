package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"attache/internal/app"
	"attache/internal/cgroup"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the proxy",
		Long: `run reads the configuration, logs in, and relays requests until SIGINT or
SIGTERM. It then lets what is in flight finish. A second signal ends it at once.`,
		Args: exactArgs(0, "no arguments"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(*file)
		if err != nil {
			return err
		}
		log := app.NewLogger(cfg.Log, cmd.ErrOrStderr())
		limitMemory(log)
		v, r := build()
		a, err := app.New(app.Options{Config: cfg, Log: log, Version: v, Revision: r})
		if err != nil {
			return err
		}
		return a.Run(cmd.Context())
	}
	return cmd
}

// limitMemory tells the Go runtime how much memory the container has. Of CPUs it
// learns by itself.
func limitMemory(log *slog.Logger) {
	limit, ok := cgroup.GoMemoryLimit(os.DirFS("/"), os.Getenv("GOMEMLIMIT"))
	if !ok {
		return
	}
	debug.SetMemoryLimit(limit)
	log.Info("the garbage collector keeps to 90 % of the control group's memory; set GOMEMLIMIT to say otherwise", "bytes", limit)
}
