#!/usr/bin/env bash
# Runs the suites of test/interop against the binary, and compares
# docs/conformance.md with what they found. With UPDATE=1 it writes that page.
# Arguments go to `go test`, such as -run TestGRPC.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

# Servers of others that some suites put behind attache or before it, or that
# attache keeps certificates in.
tools=(nginx haproxy redis-server)

mapfile -t wanted < <(provide "${tools[@]}")
if ((${#wanted[@]} > 0)); then
	echo "SKIPPED: the suites that need ${wanted[*]} (missing tool: ${wanted[*]})" >&2
	if [ "${CI:-}" = true ]; then
		exit 1
	fi
fi

update=()
if [ -n "${UPDATE:-}" ]; then
	update=(-args -update)
fi
(cd test/interop && go test -count=1 -timeout=20m -json "$@" . "${update[@]}") | go run ./scripts/testreport
