# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of each daemon in turn while programs write: they wait, go on, and see no error; what had
# been acknowledged is there, also after everything was killed at once and after a remount.
# With SOAK_MINUTES=n (make soak) it goes on killing for so long.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
ack=$WEFT_BUILD/tests/fs/ackcheck
log=/data/ack
daemons="mgmt0 mds0 mds1 oss0 oss1 oss2"
minutes=${SOAK_MINUTES:-0}

mkdir -p $log
require "cluster starts" weft_up
require "mount" weft_mount
$ack --write -p 3 --seconds $((minutes * 60 + 600)) --seed 1 --log $log $MNT >/run/ack.log 2>&1 &
writer=$!

# The writers have done something new since the last look.
progress() {
	local before try
	before=$(cat $log/*.log | wc -c)
	for try in $(seq 300); do
		[ "$(cat $log/*.log | wc -c)" -gt $((before + 2000)) ] && return 0
		kill -0 $writer || return 1
		sleep 0.2
	done
	return 1
}

while :; do
	for name in $daemons; do
		require "writers work" progress
		check "kill -9 $name" weft_kill "$name"
		check "start $name" weft_start "$name"
	done
	require "writers go on" progress
	for name in $daemons; do weft_kill "$name"; done
	for name in $daemons; do weft_start "$name"; done
	require "writers go on after all were killed" progress
	[ $SECONDS -lt $((minutes * 60)) ] || break
done
kill -TERM $writer
wait $writer
check "writers saw no error" test $? = 0
cat /run/ack.log
program $ack --verify -p 3 --log $log $MNT
require "unmount" weft_umount
require "mount again" weft_mount
program $ack --verify -p 3 --log $log $MNT
require "unmount again" weft_umount
rm -rf $log
