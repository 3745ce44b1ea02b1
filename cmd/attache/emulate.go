package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/emulator"
	"attache/internal/terminal"
	"attache/internal/yamldoc"
)

func newEmulate() *cobra.Command {
	var about strings.Builder
	for _, name := range emulator.Names() {
		for i, line := range terminal.Wrap(emulator.About(name), 64, 0) {
			fmt.Fprintf(&about, "  %-12s %s\n", []string{name, ""}[min(i, 1)], line)
		}
	}
	cmd := &cobra.Command{
		Use:   "emulate VENDOR",
		Short: "Serve a vendor's token API, with switches for faults",
		Long: `emulate serves a vendor as a real HTTP server on loopback, for trying things and
for tests. The vendors:

` + about.String() + `
Faults and switches are set while it runs: see /_emulator/ on the same address.`,
		Args:              exactArgs(1, "the name of a VENDOR"),
		ValidArgsFunction: first(words(emulator.Names(), emulator.About)),
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:9400", "the `ADDRESS`, on loopback")
	ttl := cmd.Flags().Duration("ttl", 0, "how long tokens live, from 1s; 0: as the vendor's")
	set := cmd.Flags().String("set", "", "`JSON` for /_emulator/faults, to begin with")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := emulatorName(args[0])
		if emulator.About(name) == "" {
			return usagef("there is no vendor %q%s; there are: %s", args[0],
				yamldoc.DidYouMean(args[0], emulator.Names()), strings.Join(emulator.Names(), ", "))
		}
		if !isLoopback(*listen) {
			return usagef("--listen %s: an emulator serves on loopback only, such as 127.0.0.1:9400", *listen)
		}
		emu, err := emulator.New(name, emulator.Options{TTL: *ttl})
		if err != nil {
			return usagef("%v", err)
		}
		if *set != "" {
			if _, err := emu.Apply([]byte(*set)); err != nil {
				return usagef("--set: %v", err)
			}
		}
		return emulate(cmd, emu, *listen)
	}
	return cmd
}

// emulatorName takes a recipe's name, or the short one of AICC, for that of the
// vendor's emulator.
func emulatorName(name string) string {
	switch name {
	case "jiguang-ums":
		return emulator.UMS
	case "aicc":
		return emulator.HuaweiAICC
	}
	return name
}

// isLoopback reports whether an address is HOST:PORT that only this machine
// reaches.
func isLoopback(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func emulate(cmd *cobra.Command, emu *emulator.Emulator, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; --listen takes another address", err)
	}
	server := &http.Server{Handler: emu, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	fmt.Fprintf(cmd.OutOrStdout(), "%s at http://%s; end it with Ctrl-C\n%s", emu.Vendor(), l.Addr(), emu.Hints("http://"+l.Addr().String()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-cmd.Context().Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return nil
}
