# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/slots.sh - how many guests run at once on this machine. Sourced by run and pair.
#
# More guests than processors only make each other miss their limits, so there is one slot for each
# processor (two at least): a file in the cache that the runner keeps locked, on descriptor 8 (and
# 7). Who needs two takes them one after the other, but holds the lock `pair` until it has both: no
# two of them can wait for each other's second one.

# take_slots 1|2: return when this process holds so many
take_slots() {
	local slots=${WEFT_CACHE:-/var/cache/weft}/slots number slot fd
	number=$(nproc)
	[ "$number" -gt 1 ] || number=2
	mkdir -p "$slots"
	if [ "$1" = 2 ]; then
		exec 6>"$slots/pair"
		flock 6
	fi
	for fd in 8 $([ "$1" = 2 ] && echo 7); do
		while :; do
			for ((slot = 0; slot < number; slot++)); do
				eval "exec $fd>\"$slots/$slot\""
				flock -n $fd && break 2
			done
			sleep 0.5
		done
	done
	[ "$1" = 1 ] || exec 6>&-
}
