# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of each daemon in turn while programs write: they wait, go on, and see no error; what had
# been acknowledged is there, also after everything was killed at once and after a remount.
# With SOAK_MINUTES=n (make soak) it goes on killing for so long.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
ack=$WEFT_BUILD/tests/fs/ackcheck
log=/data/ack
minutes=${SOAK_MINUTES:-0}

mkdir -p $log
require "cluster starts" weft_up
require "mount" weft_mount
daemons=$(weft_daemons)
$ack --write -p 3 --seconds $((minutes * 60 + 600)) --seed 1 --log $log $MNT >/run/ack.log 2>&1 &
writer=$!

while :; do
	for name in $daemons; do
		require "writers work" progress $log $writer
		check "kill -9 $name" weft_kill "$name"
		check "start $name" weft_start "$name"
	done
	require "writers go on" progress $log $writer
	check "kill -9 of all" weft_kill $daemons
	check "start of all" weft_start $daemons
	require "writers go on after all were killed" progress $log $writer
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
