# SPDX-License-Identifier: Apache-2.0
#
# How many tests did a program run? Sourced by tests/run and by the runner of VM suites.

# counts LOG STATUS: prints "passed failed"
counts() {
	local found passed failed
	found=$(awk '
		/^[0-9]+ passed, [0-9]+ failed$/ { p = $1; f = $3; n = 1 }
		/^ +tests +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+/ { p = $4; f = $5; n = 1 }
		END { if (n) print p, f }' "$1")
	if [ -z "$found" ]; then
		[ "$2" = 0 ] && echo "1 0" || echo "0 1"
		return
	fi
	read -r passed failed <<<"$found"
	[ "$2" != 0 ] && [ "$failed" = 0 ] && failed=1
	[ "$2" = 0 ] && [ $((passed + failed)) = 0 ] && failed=1
	echo "$passed $failed"
}
