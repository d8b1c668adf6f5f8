# SPDX-License-Identifier: Apache-2.0
#
# A server that says nothing must not hold up those who want nothing of it: memory reclaim, readers
# of a file that is being cut; nor let requests pile up.
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"
debug=/sys/kernel/debug/weft

mount=
# The folder of the only mount.
folder() { mount=$(echo $debug/*/); }
# within SECONDS COMMAND...: it ends in time, and well
within() {
	local limit=$1 pid
	shift
	"$@" &
	pid=$!
	until_ok "$limit" ended $pid || { cat /proc/$pid/stack; return 1; }
	wait $pid
}
# outstanding OP: how many requests of that kind are not over, in $n
outstanding() {
	local op
	n=0
	while read -r op _; do
		[ "$op" = "$1" ] && n=$((n + 1))
	done <"$mount/outstanding"
}
# one_of OP: such a request is under way
one_of() { outstanding "$1"; [ $n -gt 0 ]; }
waits() { until_ok 20 one_of "$1"; }
pid_of() { cat $WEFT_DIR/$1.pid; }
stop() { kill -STOP "$(pid_of "$1")"; }
go_on() { kill -CONT "$(pid_of "$1")"; }
drop() { echo 3 >/proc/sys/vm/drop_caches; }

require "cluster starts" weft_up 1 1
require "mount" weft_mount
folder
mds=$(weft_daemons | grep -v mgmt | grep -v oss)
oss=$(weft_daemons | grep oss)

# The inode is clean and nobody has it, its COMMIT is under way: reclaim has to leave it alone.
check "a file in chunks" dd if=/dev/zero of=$MNT/f bs=1M count=2 conv=fsync status=none
exec 5<>$MNT/f
stop "$mds"
head -c 2000000 /dev/urandom >/run/want
cat /run/want >&5
exec 5<&-
check "its COMMIT waits for the metadata server" waits COMMIT
sync -f $MNT &
syncer=$!
sleep 1
check "memory reclaim does not wait" within 5 drop
check "again" within 5 drop
go_on "$mds"
check "sync goes on" wait $syncer
drop_caches
truncate -s 2097152 /run/want # the file had zeros there
check "the bytes are there" cmp /run/want $MNT/f

# Killed in syncfs(2): it does not wait where it cannot be killed.
echo changed >$MNT/small
stop "$oss"
dd if=/dev/zero of=$MNT/f bs=1M count=2 conv=notrunc status=none
sync -f $MNT &
syncer=$!
check "data waits for the data server" waits OBJ_WRITE
sleep 0.5
kill -KILL $syncer
check "syncfs can be killed" until_ok 5 ended $syncer
go_on "$oss"
sync -f $MNT

# A truncate that waits for the metadata server, and a mapping of the same file.
check "a file to cut" dd if=/dev/zero of=$MNT/cut bs=1M count=2 conv=fsync status=none
drop_caches
# With the lease nothing is asked for after this: neither name nor capabilities.
dd if=/dev/zero of=$MNT/cut bs=1 count=1 conv=notrunc,fsync status=none
stop "$mds"
truncate -s 1048576 $MNT/cut &
cutter=$!
check "SETATTR waits" waits SETATTR
check "its bytes can be read" within 5 dd if=$MNT/cut of=/dev/null bs=64k count=4 status=none
go_on "$mds"
check "truncate goes on" wait $cutter
check "its size" test "$(stat -c %s $MNT/cut)" = 1048576

# Access times of many files: a bounded number is on its way.
mkdir $MNT/many
many=$(scaled 2000)
for i in $(seq "$many"); do echo >$MNT/many/$i; done
sync -f $MNT
sleep 1.1
find $MNT/many -exec touch -m {} +
cat $MNT/many/* >/dev/null
stop "$mds"
sync -f $MNT &
syncer=$!
check "access times are sent" waits SETATTR
sleep 3
outstanding SETATTR
echo "$n access times under way"
check "not all of them at once" test $n -le 512
go_on "$mds"
check "sync goes on with all" wait $syncer
mtimes_before_atimes() {
	local i
	for i in 1 $((many / 2)) "$many"; do
		[ "$(stat -c %X $MNT/many/$i)" -ge "$(stat -c %Y $MNT/many/$i)" ] || return
	done
}
require "unmount" weft_umount
require "mount again" weft_mount
folder
check "access times have arrived" mtimes_before_atimes
require "unmount" weft_umount
