#!/usr/bin/env bash
# Runs the fault bench test/chaos and, unless --quick, --parts, --break or --memory
# is among the arguments, writes docs/reliability.md, its picture, and what that is
# drawn of. Arguments are those of test/chaos; -h lists them. ATTACHE_TEST_LANE=standard
# has requests served by net/http.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

build=${BUILD_DIR:-build}
for name in $(provide redis-server); do
	echo "chaos: $name IS MISSING: install the package $name (apt-get install $name)" >&2
	exit 1
done
page=(--page docs/reliability.md --picture docs/pictures/reliability.svg --figures test/chaos/testdata/soak.json)
for arg in "$@"; do
	case ${arg#-} in
	-quick | quick | -parts* | parts* | -break* | break* | -memory | memory | h | -help | help) page=() ;;
	esac
done
mkdir -p "$build/tools"
build=$(cd "$build" && pwd)
(cd test/chaos && go build -o "$build/tools/chaos" .)
exec "$build/tools/chaos" --dir "$build/chaos" "${page[@]}" "$@"
