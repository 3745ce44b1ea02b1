package main

import (
	"github.com/spf13/cobra"

	"attache/internal/schema"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [config|recipe]",
		Short: "Print a JSON Schema, for editors that complete and explain keys",
		Long: `Prints the JSON Schema (draft 2020-12) of the configuration file, or with
"recipe" of recipe files. Editors complete and explain keys by it, the
parameters of the built-in recipes included, and mark mistakes.

  attache schema > attache.schema.json

and as the first line of attache.yaml

  # yaml-language-server: $schema=attache.schema.json`,
		ValidArgsFunction: first(words([]string{"config", "recipe"}, func(name string) string {
			return map[string]string{"config": "of the configuration", "recipe": "of recipe files"}[name]
		})),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] != "config" && args[0] != "recipe" {
				return usagef("%s takes config, recipe, or nothing, which is config; see %s --help", cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := schema.Config
			if len(args) == 1 && args[0] == "recipe" {
				text = schema.Recipe
			}
			_, err := cmd.OutOrStdout().Write(text())
			return err
		},
	}
}
