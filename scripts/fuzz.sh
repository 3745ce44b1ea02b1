#!/usr/bin/env bash
# Runs every fuzz target for the given time each (30s). A crash leaves its input
# in the package's testdata/fuzz, from where plain `go test` repeats it. Making a
# new input small may take 5 s; go's own minute would be most of the time.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-30s}
found=0
crashed=()
for package in $(go list ./...); do
	listed=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$listed" || true); do
		echo "== $package $target, $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "$package" || crashed+=("$package $target")
		found=$((found + 1))
	done
done
echo "$found fuzz targets ran, ${#crashed[@]} failed"
if [ "${#crashed[@]}" -gt 0 ]; then
	printf '  %s\n' "${crashed[@]}"
	exit 1
fi
