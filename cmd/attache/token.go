package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"attache/internal/app"
	"attache/internal/yamldoc"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Log in once for a credential and show every step, masked",
		Long: `token logs in at the real vendor once for each token of the credential NAME and
shows what was sent, what came back, which value was taken, how long it lives,
and what a request would get. Secrets and tokens are masked.

A credential whose parameters come from requests needs them here, too:

  attache token aicc -H 'X-User-Id: u1'`,
		Args:              exactArgs(1, "the NAME of a credential"),
		ValidArgsFunction: first(credentialsOf),
	}
	file := configFlag(cmd)
	headers := cmd.Flags().StringArrayP("header", "H", nil, "`'NAME: VALUE'` of a header that gives a parameter")
	queries := cmd.Flags().StringArray("query", nil, "`NAME=VALUE` of a query that gives a parameter")
	reveal := cmd.Flags().Bool("reveal", false, "show the tokens as they are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		trace := app.TraceConfig{Credential: args[0], Reveal: *reveal, Header: http.Header{}, Query: url.Values{}}
		for _, h := range *headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usagef("-H wants 'NAME: VALUE'")
			}
			trace.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		for _, q := range *queries {
			name, value, ok := strings.Cut(q, "=")
			if !ok {
				return usagef("--query wants NAME=VALUE")
			}
			trace.Query.Add(name, value)
		}
		cfg, err := loadConfig(*file)
		if err != nil {
			return err
		}
		trace.Config = cfg
		var names []string
		for _, c := range cfg.Credentials {
			names = append(names, c.Name)
			if c.Name == args[0] {
				return app.Trace(cmd.Context(), cmd.OutOrStdout(), trace)
			}
		}
		hint := yamldoc.DidYouMean(args[0], names)
		if hint == "" && len(names) > 0 {
			hint = "; there are: " + strings.Join(names, ", ")
		}
		return usagef("there is no credential %q in %s%s", args[0], *file, hint)
	}
	return cmd
}
