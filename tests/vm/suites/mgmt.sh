# SPDX-License-Identifier: Apache-2.0
#
# Three management servers: each of them dies in turn, the leader first, while the file system is
# mounted and before it is mounted; without a majority what is mounted goes on, and nothing new is
# mounted until it is back. Then a whole cluster on IPv6.
# seconds: 400
. "$WEFT_TOP/tests/vm/lib.sh"

leader() {
	local address
	address=$(weft status --config $WEFT_DIR/weft.conf | awk '$1 == "management" { print $2 }')
	weft dev status --dir $WEFT_DIR | awk -v a="$address" '$4 == a { print $1 }'
}
remount() { weft_umount && weft_mount; }
read_back() { cmp /data/source $MNT/source; }

require "cluster with three management servers" weft_up 1 2 --mgmts 3
require "mount" weft_mount
check "all three are in the options" grep -q " $MNT weft .*mgmt=[^+]*+[^+]*+" /proc/mounts
dd if=/dev/urandom of=/data/source bs=1M count=5 status=none
check "copy" cp /data/source $MNT/source
writers_start /data/ack 2 600
for i in 1 2 3; do
	require "writers work" writers_go_on
	lead=$(leader)
	check "somebody leads: $lead" test -n "$lead"
	check "kill -9 of the leader" weft_kill "$lead"
	require "writers go on" writers_go_on
	mkdir -p /run/other$i
	check "a new mount works without it" weft_mount /run/other$i
	check "and reads" cmp /data/source /run/other$i/source
	check "somebody else leads" test "$(leader)" != "$lead"
	check "unmount" weft_umount /run/other$i
	check "kill -9 of a data server" weft_kill oss1
	check "it starts again, and registers with the new leader" weft_start oss1
	check "start $lead" weft_start "$lead"
done
check "writers saw no error" writers_stop
program writers_verify

remount_while_leader_dies() {
	local killer status
	weft_kill "$(leader)" &
	killer=$!
	remount
	status=$?
	wait $killer
	return $status
}
check "mounting while the leader is being killed" remount_while_leader_dies
check "kill -9 of the next one: no majority" weft_kill "$(leader)"
drop_caches
check "what is mounted can be read" read_back
check "and written" bash -c "mkdir $MNT/alone && echo x >$MNT/alone/x && sync $MNT/alone/x"
refuse "nothing new is mounted" timeout -s KILL 60 mount -t weft "$WEFT_SOURCE" /run/other1 \
	${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
# A start waits until management answers: for ever if it is that of the one that is left.
running() { kill -0 "$(cat $WEFT_DIR/$1.pid 2>/dev/null)" 2>/dev/null; }
for name in mgmt1 mgmt2 mgmt3; do
	running $name || check "start $name" weft_start $name
done
check "with a majority it is" weft_mount /run/other1
check "unmount" weft_umount /run/other1
require "unmount the first" weft_umount

check "stop the cluster" weft dev down --dir $WEFT_DIR --destroy
require "cluster on IPv6" weft_up 2 3 --listen ::1
check "its address is one of IPv6: $WEFT_SOURCE" grep -q '^\[::1\]:[0-9]*:/$' <<<"$WEFT_SOURCE"
require "mount" weft_mount
check "the option shows it" grep -q ' weft .*mgmt=\[::1\]:' /proc/mounts
check "copy" cp /data/source $MNT/source
drop_caches
check "read back" read_back
daemons=$(weft_daemons)
require "kill -9 of all" weft_kill $daemons
require "start of all" weft_start $daemons
drop_caches
check "read back" read_back
require "remount" remount
check "read back" read_back
require "unmount" weft_umount
port=${WEFT_SOURCE##*]:}
require "a bare address and a port" mount -t weft "::1:/" -o "port=${port%:/}${WEFT_OPTIONS:+,$WEFT_OPTIONS}" $MNT
check "read back" read_back
require "unmount" weft_umount
