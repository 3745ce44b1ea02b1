package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"attache/internal/app"
	"attache/internal/certs"
	"attache/internal/truststore"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Export, trust and renew attache's own CA",
		Long: `attache's own CA issues the certificates of listeners with tls: {internal: …}.
It is kept where the configuration says with certificates, and made when it is
needed for the first time, by these commands as well.`,
		Args: func(cmd *cobra.Command, args []string) error {
			return usagef("%s takes export, trust or renew; see %s --help", cmd.CommandPath(), cmd.CommandPath())
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(newCAExport(), newCATrust(), newCARenew())
	return cmd
}

// caTime bounds what is asked of the storage, and of the system's command.
const caTime = time.Minute

// rootFunc is [certs.Root] or [certs.RenewRoot].
type rootFunc func(context.Context, certs.Storage, *slog.Logger) (*x509.Certificate, error)

// withRoot calls f with what get returns for the CA of a configuration.
func withRoot(cmd *cobra.Command, file string, get rootFunc, f func(context.Context, *x509.Certificate) error) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	if cfg.Certificates == nil {
		return usagef("%s does not say with certificates where attache's CA is kept", file)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), caTime)
	defer cancel()
	root, err := get(ctx, certs.Storage(*cfg.Certificates), app.NewLogger(cfg.Log.Format, cfg.Log.Level, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	return f(ctx, root)
}

// printRoot writes a certificate to standard output.
func printRoot(cmd *cobra.Command, root *x509.Certificate) error {
	return pem.Encode(cmd.OutOrStdout(), &pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
}

func newCAExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the root certificate that clients have to trust",
		Args:  exactArgs(0, "no arguments"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withRoot(cmd, *file, certs.Root, func(_ context.Context, root *x509.Certificate) error { return printRoot(cmd, root) })
	}
	return cmd
}

func newCARenew() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Make a new root certificate for the same key, and print it",
		Long: `renew makes a new root certificate, valid for ten years, for the key that the CA
has. Clients that trust either of the two accept all certificates, as long as
that one is valid. Do it in the last months of the old one.`,
		Args: exactArgs(0, "no arguments"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withRoot(cmd, *file, certs.RenewRoot, func(_ context.Context, root *x509.Certificate) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is valid until %s; give this to all clients:\n", root.Subject.CommonName, root.NotAfter.UTC().Format(time.DateOnly))
			return printRoot(cmd, root)
		})
	}
	return cmd
}

func newCATrust() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Have this system trust attache's CA",
		Long: `trust puts the root certificate into the trust store of this Linux system, as
its distribution wants it. That takes root's rights. Programs with a trust store
of their own, such as Firefox, Java and Python's requests, do not see it.`,
		Args: exactArgs(0, "no arguments"),
	}
	file := configFlag(cmd)
	uninstall := cmd.Flags().Bool("uninstall", false, "trust it no longer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withRoot(cmd, *file, certs.Root, func(ctx context.Context, root *x509.Certificate) error {
			return trust(ctx, cmd, truststore.Store{}, root, *uninstall)
		})
	}
	return cmd
}

// trust changes whether the system trusts a root, and tells what was done.
func trust(ctx context.Context, cmd *cobra.Command, store truststore.Store, root *x509.Certificate, uninstall bool) error {
	change, outcome := store.Install, "this system trusts"
	if uninstall {
		change, outcome = store.Uninstall, "this system does not trust"
	}
	did, err := change(ctx, root)
	for _, line := range did {
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
	name := root.Subject.CommonName
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the trust store can be changed by root alone; run this command as root, with sudo for instance: %w", err)
	case errors.Is(err, truststore.ErrUnknown):
		return fmt.Errorf("%w; have it trust what attache ca export prints:\n%s", err, strings.Join([]string{
			"  macOS:   sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain FILE",
			"  Windows: certutil -addstore -f ROOT FILE",
			"  a program alone: curl --cacert FILE, or the environment variable SSL_CERT_FILE, NODE_EXTRA_CA_CERTS or REQUESTS_CA_BUNDLE",
		}, "\n"))
	case err != nil:
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", outcome, name)
	return nil
}
