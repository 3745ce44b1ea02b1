package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Some suites end the process when a test fails, or write to standard output as
// they please. They run in a process of their own: this test binary once more,
// told by childVariable what to be.
const childVariable = "ATTACHE_INTEROP_CHILD"

// childTime bounds what one child may take.
const childTime = 3 * time.Minute

// runChild is what a child does instead of running tests. It returns the exit
// code.
func runChild(name string) int {
	ctx, cancel := context.WithTimeout(context.Background(), childTime)
	defer cancel()
	var err error
	switch name {
	case "h2spec":
		err = h2specChild(os.Getenv("ADDRESS"), os.Getenv("TLS") == "true", os.Getenv("RESULT"))
	case "grpc":
		err = grpcChild(ctx, os.Getenv("ADDRESS"), os.Getenv("CASE"))
	default:
		err = fmt.Errorf("there is no child %q", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child runs this binary as the named child, with more environment variables of
// the form NAME=VALUE. It returns all that was written.
func child(t testing.TB, name string, environment ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), childTime+patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(append(os.Environ(), childVariable+"="+name), environment...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}
