package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/terminal"
	"attache/internal/watch"
	"attache/internal/yamldoc"
	"attache/recipe"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE|FOLDER ...]",
		Short: "Find every mistake in configurations and recipe files",
		Long: `check reads configuration files and recipe files, and reports every mistake in
them with its file, line and column. A folder stands for the .yaml and .yml
files in it. Nothing is started and no vendor is asked, unless --live is given:
then each configuration's credentials log in once at the real vendors.

It exits with 2 when there is a mistake, with 1 when a login fails. Warnings do
not count as mistakes.`,
		ValidArgsFunction: filesEnding(yamlFiles()...),
	}
	file := configFlag(cmd)
	live := cmd.Flags().Bool("live", false, "log in once for each credential, at the real vendors")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "for the logins of --live together")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *timeout <= 0 {
			return usagef("--timeout wants a duration such as 30s")
		}
		if len(args) == 0 || cmd.Flags().Changed("config") {
			args = append([]string{*file}, args...)
		}
		configs, err := check(cmd, args)
		if err != nil || !*live {
			return err
		}
		return checkLive(cmd, configs, *timeout)
	}
	return cmd
}

// checkLive logs in for the credentials of all configurations.
func checkLive(cmd *cobra.Command, configs []*config.Config, timeout time.Duration) error {
	if len(configs) == 0 {
		return usagef("--live needs a configuration; recipes alone have nothing to log in with")
	}
	var failed []error
	for _, cfg := range configs {
		failed = append(failed, app.CheckLive(cmd.Context(), cmd.OutOrStdout(), app.LiveConfig{Config: cfg, Timeout: timeout}))
	}
	return errors.Join(failed...)
}

// check checks files and returns the configurations among them.
func check(cmd *cobra.Command, names []string) ([]*config.Config, error) {
	var configs []*config.Config
	var problems yamldoc.Problems
	for _, name := range names {
		files, err := filesOf(name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			cfg, err := checkFile(cmd, file)
			var found yamldoc.Problems
			switch {
			case errors.As(err, &found):
				problems = append(problems, found...)
			case err != nil:
				return nil, err
			case cfg != nil:
				configs = append(configs, cfg)
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return configs, nil
}

// noFile is the error of a configuration that is not there.
func noFile(name string) error {
	if name == defaultConfig {
		return usagef("there is no file %s here; name one with -c FILE", name)
	}
	return usagef("there is no file %s", name)
}

// loadConfig is [config.Load], and says what to do when there is no such file.
func loadConfig(file string) (*config.Config, error) { return loadAnew(file, &watch.Files{}) }

// loadAnew is loadConfig for [config.LoadAnew].
func loadAnew(file string, files *watch.Files) (*config.Config, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(file)
	}
	return config.LoadAnew(file, files)
}

// filesOf returns name itself, or the YAML files of the folder name.
func filesOf(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, noFile(name)
		}
		return nil, usagef("read %s: %v", name, err)
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(name, pattern))
		if err != nil {
			return nil, usagef("read %s: %v", name, err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, usagef("the folder %s holds no .yaml file", name)
	}
	slices.Sort(files)
	return files, nil
}

// checkFile checks one file, which is a recipe if its first level has the key
// "recipe"; it returns the configuration, or nil for a recipe.
func checkFile(cmd *cobra.Command, file string) (*config.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("%v", err)
	}
	var rep yamldoc.Report
	if root, ok := yamldoc.Parse(&rep, file, data); ok && root.IsMap() && isRecipe(root) {
		r, ok := recipe.Parse(&rep, file, data)
		if !ok {
			return nil, rep.Err()
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: recipe %s: ok\n", file, r.Name)
		return nil, nil
	}
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	warnings := cfg.Warnings
	if advice := app.AdviseOnStore(cfg.Store); advice != "" {
		warnings = append(warnings, file+": store: "+advice)
	}
	for _, warning := range warnings {
		terminal.Say(cmd.ErrOrStderr(), terminal.Notice, "warning: ", warning)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: %s, %s\n", file, count(len(cfg.Credentials), "credential"), count(len(cfg.Routes), "route"))
	return cfg, nil
}

func isRecipe(root yamldoc.Value) bool {
	for _, e := range root.Entries() {
		if e.Name == "recipe" {
			return true
		}
	}
	return false
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
