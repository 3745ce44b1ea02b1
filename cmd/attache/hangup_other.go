//go:build !unix

package main

import "os"

// hangups returns a channel that stays empty: there is no SIGHUP here.
func hangups() (<-chan os.Signal, func()) { return nil, func() {} }
