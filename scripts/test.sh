#!/usr/bin/env bash
# Runs every test with the race detector, in random order, and ends with what
# was skipped. Arguments are packages; without any, all, and the status page in
# Chromium (test/page).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

# Shells that complete attache's commands, what formats its manual pages, and a
# browser for the status page. Tests say what is missing still.
tools=(zsh fish groff=groff-base mandoc)
if (($# == 0)); then
	tools+=(chromium)
fi
provide "${tools[@]}" >/dev/null

race=(-race)
if [ "$(go env CGO_ENABLED)" != 1 ]; then
	# The race detector is linked by the C compiler.
	race=()
	echo "SKIPPED: the race detector (missing tool: a C compiler such as gcc)" >&2
	if [ "${CI:-}" = true ]; then
		exit 1
	fi
fi

# -count=1: a cached result would hide what was skipped.
suites() {
	local ok=0
	go test "${race[@]}" -count=1 -shuffle=on -timeout=8m -json "${@:-./...}" || ok=1
	if (($# == 0)); then
		(cd test/page && go test -count=1 -shuffle=on -timeout=8m -json .) || ok=1
	fi
	return "$ok"
}
suites "$@" | go run ./scripts/testreport
