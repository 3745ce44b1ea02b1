package main

import (
	"github.com/spf13/cobra"

	"attache/internal/app"
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
		v, r := build()
		a, err := app.New(app.Options{
			Config: cfg, Log: app.NewLogger(cfg.Log, cmd.ErrOrStderr()), Version: v, Revision: r,
		})
		if err != nil {
			return err
		}
		return a.Run(cmd.Context())
	}
	return cmd
}
