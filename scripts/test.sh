#!/usr/bin/env bash
# Runs every test with the race detector, in random order, and ends with what
# was skipped. Arguments are packages; without any, all.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

# Shells that complete attache's commands, and what formats its manual pages. Tests
# say what is missing still.
provide zsh fish groff=groff-base mandoc >/dev/null

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
go test "${race[@]}" -count=1 -shuffle=on -timeout=8m -json "${@:-./...}" | go run ./scripts/testreport
