#!/usr/bin/env bash
# Runs the suites of test/interop against the binary, and compares
# docs/conformance.md with what they found. With UPDATE=1 it writes that page.
# Arguments go to `go test`, such as -run TestGRPC.
set -euo pipefail
cd "$(dirname "$0")/.."

# Servers of others that some suites put behind attache or before it.
tools=(nginx haproxy)

missing() {
	local tool
	for tool in "${tools[@]}"; do
		PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null || echo "$tool"
	done
}

# install installs Debian packages without the services that they would start.
install() {
	local policy=/usr/sbin/policy-rc.d ours="" ok=0
	if [ ! -e "$policy" ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends "$@" >/dev/null || ok=$?
	if [ -n "$ours" ]; then
		rm -f "$policy"
	fi
	return "$ok"
}

mapfile -t wanted < <(missing)
if ((${#wanted[@]} > 0)) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing ${wanted[*]}"
	install "${wanted[@]}" || echo "apt-get cannot install ${wanted[*]}" >&2
	mapfile -t wanted < <(missing)
fi
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
