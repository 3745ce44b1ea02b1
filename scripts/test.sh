#!/usr/bin/env bash
# Runs every test with the race detector, in random order, and ends with what
# was skipped. Arguments are packages; without any, all, and the status page in
# Chromium (test/page), and then once more in the other lane what can differ there.
# Tests that name no lane run in that of ATTACHE_TEST_LANE, by default express.
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
run() {
	go test "${race[@]}" -count=1 -shuffle=on -timeout=8m -json "$@"
}

# What runs twice: the tests whose requests go through a listener of attache's. All of
# package proxy and of internal/app, which start it within the test; of cmd/attache those
# that ask the process, as its scripts and the followed examples do. The rest is about
# what no lane touches: tokens, recipes, configurations, the command line, pages. The
# examples of vendors without an emulator send what those with one do.
twice() {
	local ok=0
	export ATTACHE_TEST_LANE=$1
	echo "once more, in the $1 lane:"
	run ./internal/app ./proxy || ok=1
	run -run '^(TestScripts|TestExamples|TestAnswersOfTheReference)$' ./cmd/attache || ok=1
	return "$ok"
}

# What the race detector cannot be told of directly has code of its own under it
# (internal/rawio), so that what attache ships with is tested without it.
unraced() {
	go test -count=1 -shuffle=on -timeout=8m -json ./internal/rawio ./internal/http1 ./proxy
}

suites() {
	local ok=0 other=standard
	run "${@:-./...}" || ok=1
	if (($# == 0)); then
		(cd test/page && go test -count=1 -shuffle=on -timeout=8m -json .) || ok=1
		if [ "${ATTACHE_TEST_LANE:-}" = standard ]; then
			other=express
		fi
		unraced || ok=1
		twice "$other" || ok=1
	fi
	return "$ok"
}
suites "$@" | go run ./scripts/testreport
