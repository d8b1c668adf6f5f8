# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/slots.sh - how many guests run at once on this machine. Sourced by run and pair.
#
# More guests than processors only make each other miss their limits, so there is one slot for each
# processor (two at least): a file in the cache that the runner keeps locked, on descriptor 8 (and
# 7). Who needs two of them holds the lock `pair` while it waits: no two of them can wait for each
# other's second one. A slot that waits for another one is idle, so it is held for SLOT_HOLD seconds
# at most, and then given to others for as long.

SLOT_HOLD=15
slots=${WEFT_CACHE:-/var/cache/weft}/slots

# _slot FD: lock a free slot on this descriptor, if there is one
_slot() {
	local number slot
	number=$(nproc)
	[ "$number" -gt 1 ] || number=2
	for ((slot = 0; slot < number; slot++)); do
		eval "exec $1>\"$slots/$slot\""
		flock -n "$1" && return
	done
	eval "exec $1>&-"
	return 1
}

# _two_slots: both within SLOT_HOLD of the first one, or none
_two_slots() {
	local until
	_slot 8 || return
	until=$((SECONDS + SLOT_HOLD))
	until _slot 7; do
		if [ $SECONDS -ge $until ]; then
			exec 8>&-
			sleep $SLOT_HOLD
			return 1
		fi
		sleep 0.5
	done
}

# take_slots 1|2: return when this process holds so many
take_slots() {
	mkdir -p "$slots"
	if [ "$1" = 1 ]; then
		until _slot 8; do sleep 0.5; done
		return
	fi
	exec 6>"$slots/pair"
	flock 6
	until _two_slots; do sleep 0.5; done
	exec 6>&-
}
