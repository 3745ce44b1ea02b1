package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"attache/internal/app"
	"attache/internal/cgroup"
	"attache/internal/config"
	"attache/internal/resident"
	"attache/internal/watch"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the proxy",
		Long: `run reads the configuration, logs in, and relays requests until SIGINT or
SIGTERM. It then lets what is in flight finish. A second signal ends it at once.

A changed configuration, recipe, certificate or secret is taken up by itself, at
the latest after a few seconds; SIGHUP and POST /-/reload do that at once. No
request is dropped, and tokens whose definition stays are kept. What is wrong
leaves the configuration before in service, and the log says why.`,
		Args: exactArgs(0, "no arguments"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		incoming, stop := hangups()
		defer stop()
		var files watch.Files
		cfg, err := loadAnew(*file, &files)
		if err != nil {
			return err
		}
		v, r := build()
		level := new(slog.LevelVar)
		level.Set(cfg.Log.Level)
		log := app.NewLogger(cfg.Log.Format, level, cmd.ErrOrStderr())
		limitMemory(log)
		limitGarbage(os.Getenv("GOGC"))
		a, err := app.New(app.Options{
			Config: cfg, Files: &files, Log: log, Level: level, Version: v, Revision: r,
			Load: func(files *watch.Files) (*config.Config, error) { return config.LoadAnew(*file, files) },
		})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		go reloadOn(ctx, incoming, a)
		resident.ForgetStart()
		return a.Run(cmd.Context())
	}
	return cmd
}

// reloadOn has the configuration loaded anew at each signal until ctx ends. The
// app says in its log what became of it.
func reloadOn(ctx context.Context, incoming <-chan os.Signal, a *app.App) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-incoming:
			_ = a.Reload(ctx, "SIGHUP")
		}
	}
}

// limitGarbage has garbage collected before it is half as much as what is in use,
// instead of as much, unless environment, the value of GOGC, says otherwise. Requests
// leave little garbage, so that collecting it twice as often costs hardly any CPU time,
// while every pod of a sidecar pays for its memory.
func limitGarbage(environment string) {
	if environment == "" {
		debug.SetGCPercent(50)
	}
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
