package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"attache/internal/config"
)

// defaultAdmin is where a running attache has its admin listener unless its
// configuration says otherwise.
const defaultAdmin = "127.0.0.1:8485"

// adminAt is where a command finds the admin listener of a running attache: what
// its flags -c and --url say.
type adminAt struct{ file, target *string }

// newAdminAt adds the flags.
func newAdminAt(cmd *cobra.Command) adminAt {
	a := adminAt{
		file:   cmd.Flags().StringP("config", "c", "", "take the admin address from the configuration `FILE`"),
		target: cmd.Flags().String("url", "", "ask this `URL` instead"),
	}
	_ = cmd.MarkFlagFilename("config", yamlFiles()...) // the flag exists
	return a
}

// find returns the URL of the admin listener, or the one that --url gives. Errors
// are a *[usageError], or [yamldoc.Problems] of the configuration.
func (a adminAt) find() (u *url.URL, given bool, err error) {
	if *a.target == "" {
		address := defaultAdmin
		if *a.file != "" {
			address, err = config.AdminAddress(*a.file)
		}
		return &url.URL{Scheme: "http", Host: address}, false, err
	}
	if *a.file != "" {
		return nil, true, usagef("--url takes the place of -c")
	}
	u, err = url.Parse(*a.target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, true, usagef("--url wants http://HOST:PORT/PATH")
	}
	return u, true, nil
}
