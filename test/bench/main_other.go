//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: only Linux has what this measures with: CPU affinity, epoll and /proc")
	os.Exit(1)
}
