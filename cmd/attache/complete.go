package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"attache/internal/config"
	"attache/recipe"
)

// Completion: commands and flags complete by themselves, and nothing else does
// unless it is said here; files least of all, where none are meant.

// yamlFiles are the endings of configurations and recipes.
func yamlFiles() []string { return []string{"yaml", "yml"} }

// plainUsages takes the backquotes out of what flags say about themselves. They mark
// the name of the value for help and manual pages; a shell would show them.
func plainUsages(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	for _, sub := range cmd.Commands() {
		plainUsages(sub)
	}
}

// filesEnding completes every argument with files of such endings, and folders.
func filesEnding(endings ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt)
}

// first completes the first argument with what list returns, and no other.
func first(list func(cmd *cobra.Command) []cobra.Completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return list(cmd), cobra.ShellCompDirectiveNoFileComp
	}
}

// words is a list for first: names with what is to be said about them.
func words(names []string, about func(name string) string) func(*cobra.Command) []cobra.Completion {
	return func(*cobra.Command) []cobra.Completion {
		var list []cobra.Completion
		for _, name := range names {
			list = append(list, cobra.CompletionWithDesc(name, about(name)))
		}
		return list
	}
}

// credentialsOf is a list for first: those of the configuration that -c names.
func credentialsOf(cmd *cobra.Command) []cobra.Completion {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil
	}
	return config.CredentialNames(file)
}

// recipeFiles completes FILE [TRANSCRIPT ...].
func recipeFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return yamlFiles(), cobra.ShellCompDirectiveFilterFileExt
	}
	return []cobra.Completion{"txtar"}, cobra.ShellCompDirectiveFilterFileExt
}

func aboutRecipe(name string) string {
	r, _ := recipe.Preset(name)
	return r.About
}
