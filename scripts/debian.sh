# Functions for scripts that need servers of others. It is sourced, not run.

# missing prints those of its arguments, COMMAND or COMMAND=PACKAGE, whose command
# is not here. Debian keeps servers where only root's PATH looks.
missing() {
	local tool
	for tool in "$@"; do
		PATH="$PATH:/usr/sbin" command -v "${tool%%=*}" >/dev/null || echo "$tool"
	done
}

# provide installs the packages among its arguments whose command is missing, if
# root runs it on Debian, without the services that they would start. A package
# that has another name than its command stands behind =. It prints what is missing
# still.
provide() {
	local wanted policy=/usr/sbin/policy-rc.d ours=""
	mapfile -t wanted < <(missing "$@")
	if ((${#wanted[@]} > 0)) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing ${wanted[*]}" >&2
		if [ ! -e "$policy" ]; then
			ours=yes
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod +x "$policy"
		fi
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends "${wanted[@]#*=}" >/dev/null ||
			echo "apt-get cannot install ${wanted[*]}" >&2
		if [ -n "$ours" ]; then
			rm -f "$policy"
		fi
	fi
	missing "$@"
}
