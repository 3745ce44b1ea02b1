package main

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this very binary as "attache".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"attache": main,
	})
}

// TestScripts runs testdata/script: the command line as a user sees it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", quickExit+os.Getenv("GORACE"))
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
			"get":       get,
			"expand":    expand,
			"fire":      fire,
			"waitfor":   waitfor,
			"rawserver": rawserver,
		},
	})
}

func TestSignalCode(t *testing.T) {
	for signal, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		if got := signalCode(caught{signal}); got != want {
			t.Errorf("%v: %d, want %d", signal, got, want)
		}
	}
}
