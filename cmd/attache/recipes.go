package main

import (
	"github.com/spf13/cobra"

	"attache/internal/terminal"
	"attache/recipe"
)

func newRecipes() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recipes",
		Short: "List and show the built-in recipes, test one of your own",
		Args:  exactArgs(0, "list, show NAME or test FILE"),
		RunE:  listRecipes,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the built-in recipes", Args: exactArgs(0, "no arguments"), RunE: listRecipes},
		newRecipesTest(),
		&cobra.Command{Use: "show NAME", Short: "Print a built-in recipe as YAML, to read or to start from",
			Args: exactArgs(1, "the NAME of a recipe"), RunE: showRecipe, ValidArgsFunction: first(words(recipe.PresetNames(), aboutRecipe))},
	)
	return cmd
}

func listRecipes(cmd *cobra.Command, _ []string) error {
	var rows [][]terminal.Cell
	for _, name := range recipe.PresetNames() {
		if r, ok := recipe.Preset(name); ok {
			rows = append(rows, []terminal.Cell{{Text: name}, {Text: r.About}})
		}
	}
	return terminal.Table(cmd.OutOrStdout(), rows)
}

func showRecipe(cmd *cobra.Command, args []string) error {
	source, ok := recipe.PresetSource(args[0])
	if !ok {
		hint := recipe.PresetHint(args[0])
		if hint == "" {
			hint = "; attache recipes lists them"
		}
		return usagef("there is no recipe %q%s", args[0], hint)
	}
	_, err := cmd.OutOrStdout().Write(source)
	return err
}
