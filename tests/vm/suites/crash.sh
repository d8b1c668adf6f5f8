# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of each daemon in turn while programs write: they wait, go on, and see no error; what had
# been acknowledged is there, also after everything was killed at once and after a remount.
# With SOAK_MINUTES=n (make soak) it goes on killing for so long.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
minutes=${SOAK_MINUTES:-0}

require "cluster starts" weft_up
require "mount" weft_mount
daemons=$(weft_daemons)
writers_start /data/ack 3 $((minutes * 60 + 600))

while :; do
	for name in $daemons; do
		require "writers work" writers_go_on
		check "kill -9 $name" weft_kill "$name"
		check "start $name" weft_start "$name"
	done
	require "writers go on" writers_go_on
	check "kill -9 of all" weft_kill $daemons
	check "start of all" weft_start $daemons
	require "writers go on after all were killed" writers_go_on
	[ $SECONDS -lt $((minutes * 60)) ] || break
done
check "writers saw no error" writers_stop
program writers_verify
require "unmount" weft_umount
require "mount again" weft_mount
program writers_verify
require "unmount again" weft_umount
