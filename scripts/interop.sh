#!/usr/bin/env bash
# Runs the suites of test/interop against the binary, and compares
# docs/conformance.md with what they found; those of test/deploy, which check the
# examples for Kubernetes, systemd and Compose; and the tests of the fault bench.
# With UPDATE=1 that page and the copies of the alerting rules are written.
# Arguments go to `go test`, such as -run TestGRPC.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

# Servers of others that some suites put behind attache, before it or beside it, or
# that attache keeps certificates in; and what checks the unit of systemd.
tools=(nginx haproxy prometheus redis-server systemd-analyze=systemd)

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
suites() {
	local module more ok=0
	for module in interop deploy chaos; do
		more=("${update[@]}")
		if [ "$module" = chaos ]; then # what it writes comes from the bench in full
			more=()
		fi
		(cd "test/$module" && go test -count=1 -timeout=20m -json "$@" . "${more[@]}") || ok=1
	done
	return "$ok"
}
suites "$@" | go run ./scripts/testreport
