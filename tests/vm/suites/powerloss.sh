# SPDX-License-Identifier: Apache-2.0
#
# The power of all servers goes while programs write: their file system forgets what it has not
# written to its disk, journal and pages (powerloss), and they start again on what is there. The
# programs wait, go on, and see no error; what had been acknowledged is there. The logs of what was
# acknowledged are elsewhere. What this does not show is a disk that loses its own cache.
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"

# Stopped first, so that no server answers with the errors of a file system that is gone.
power_off() {
	local pids
	pids=$(cat $WEFT_DIR/*.pid)
	kill -STOP $pids && "$WEFT_BUILD/tests/fs/powerloss" /data && kill -KILL $pids
}

power_on() {
	local device
	device=/dev/$(basename "$(awk '$2 == "/data" { print $1 }' /proc/mounts)")
	until_ok 10 umount /data && mount -t ext4 "$device" /data
}

require "cluster starts" weft_up
require "mount" weft_mount
daemons=$(weft_daemons)
writers_start /run/ack 3 580
for round in 1 2 3; do
	# Configuration, process numbers: what `weft dev` wrote is not what is tested.
	sync
	require "writers work" writers_go_on
	require "the power goes" power_off
	require "the power is back" power_on
	check "start of all" weft_start $daemons
	require "writers go on" writers_go_on
done
grep -a -h "applied again from the commit log" $WEFT_DIR/*.log >/run/replayed
check "servers had lost changes and applied them again" test -s /run/replayed
check "writers saw no error" writers_stop
program writers_verify
require "unmount" weft_umount
require "mount again" weft_mount
program writers_verify
require "unmount again" weft_umount
