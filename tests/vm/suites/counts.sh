# SPDX-License-Identifier: Apache-2.0
#
# What system calls cost while two mounts are at work, in requests, by the mount's own counters; and
# that nothing which is saved shows old attributes or bytes.
# seconds: 400
. "$WEFT_TOP/tests/vm/lib.sh"
calls=$WEFT_BUILD/tests/fs/calls
other=/weft2
n=100

folder() { find /sys/kernel/debug/weft -mindepth 1 -maxdepth 1 | sort -V | head -n 1; }
# Requests of the first mount so far, but those of time and those that are sent in batches.
total() {
	awk '$1 == "op" && $2 !~ /^(KEEPALIVE|PING|MAP_GET|CLOSE)$/ { n += $4 } END { print n + 0 }' \
		"$(folder)/stats"
}
# costs MOST CALL FILE: requests of n calls; the program opens the file once before
costs() {
	local most=$1 before after
	shift
	before=$(total)
	$calls "$1" $n "$2" || return
	after=$(total)
	echo "$1: $((after - before)) requests of $n calls"
	[ $((after - before)) -le $((most * n + 4)) ] && [ $((after - before)) -ge "${LEAST:-0}" ]
}
# Each time the other mount has written it anew.
reads_changed() {
	local i before
	before=$(total)
	for i in $(seq 20); do
		echo "round $i" >$other/changing
		$calls read 1 $MNT/changing || return
	done
	echo "read of changed files: $(($(total) - before)) requests of 20 calls"
	# Each run opens it twice.
	[ $(($(total) - before)) -le 80 ]
}

require "cluster starts" weft_up
require "mount" weft_mount
mkdir $MNT/dir
echo small >$MNT/small
echo small >$MNT/changing
sync -f $MNT
check "alone: stat costs nothing" costs 0 stat $MNT/small
check "alone: open and read cost nothing" costs 0 read $MNT/small
require "second mount" weft_mount $other
LEAST=$n
check "stat: one request" costs 1 stat $MNT/small
check "access: one" costs 1 access $MNT/small
check "fstat: one" costs 1 fstat $MNT/small
check "open and read of a small file: two" costs 2 read $MNT/small
check "open and read of one that changed: two" reads_changed
program $calls fresh $MNT $other
program $calls fresh $MNT/dir $other/dir
require "unmount the second" weft_umount $other
require "unmount" weft_umount
