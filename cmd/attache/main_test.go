package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this very binary as "attache".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"attache": func() {
			// Scripts end what runs in the background with an interrupt.
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
			stop()
			os.Exit(code)
		},
	})
}

// TestScripts runs testdata/script: the command line as a user sees it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Free ports of loopback for what a script starts.
			for _, name := range []string{"PORT1", "PORT2", "PORT3"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				_, port, err := net.SplitHostPort(l.Addr().String())
				if err != nil {
					return err
				}
				env.Setenv(name, port)
				if err := l.Close(); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"get":    get,
			"expand": expand,
		},
	})
}
