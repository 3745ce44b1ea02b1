#!/usr/bin/env bash
# Gets the proxies that attache is compared with, and compares. Arguments are
# those of test/bench; -h lists them. BUILD_DIR (build) has attache already.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

build=${BUILD_DIR:-build}
tools=$build/tools
caddy=v2.11.9

# Which proxies the arguments name, to get no others.
proxies=nginx,haproxy,caddy
previous=
for arg in "$@"; do
	case $arg in
	-h | -help | --help | -render* | --render*) proxies= ;;
	-proxies=* | --proxies=*) proxies=${arg#*=} ;;
	esac
	case $previous in
	-proxies | --proxies) proxies=$arg ;;
	esac
	previous=$arg
done

wanted() { [[ ,$proxies, == *,$1,* ]]; }

servers=()
for name in nginx haproxy; do
	if wanted "$name"; then
		servers+=("$name")
	fi
done
for name in $(provide "${servers[@]}"); do
	echo "bench: $name IS MISSING: install the package $name (apt-get install $name)" >&2
done
mkdir -p "$tools"
if wanted caddy && ! [ -x "$tools/caddy" ]; then
	echo "bench: building Caddy $caddy; this takes some minutes, once" >&2
	GOBIN=$(cd "$tools" && pwd) GOFLAGS='' nice go install "github.com/caddyserver/caddy/v2/cmd/caddy@$caddy" ||
		echo "bench: caddy IS MISSING: it could not be built" >&2
fi
go build -o "$tools/bench" ./test/bench
exec "$tools/bench" --dir "$build/bench" --attache "$build/attache" --tools "$tools" "$@"
