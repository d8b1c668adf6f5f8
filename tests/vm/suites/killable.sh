# SPDX-License-Identifier: Apache-2.0
#
# What waits for a server that is gone can be killed: fsync, truncate, O_DIRECT, fallocate, umount.
. "$WEFT_TOP/tests/vm/lib.sh"
# ends_by_kill PID: it waits for a dead server, and SIGKILL ends it within 10 s
ends_by_kill() {
	! ended "$1" || { echo "did not wait"; return 1; }
	kill -KILL "$1"
	until_ok 10 ended "$1" || { cat "/proc/$1/stack"; return 1; }
}
killed() {
	"$@" >/dev/null 2>&1 &
	sleep 2
	ends_by_kill $!
}
gone() { until_ok 10 weft_module_remove 2>/dev/null; }
require "cluster starts" weft_up 1 1
require "mount" weft_mount
check "a file" dd if=/dev/urandom of=$MNT/f bs=1M count=40 conv=fsync status=none
check "another" dd if=/dev/urandom of=$MNT/g bs=1M count=40 conv=fsync status=none
drop_caches
stat $MNT/f $MNT/g >/dev/null
weft_kill $(weft_daemons | grep oss)
check "dirty pages" dd if=/dev/zero of=$MNT/f bs=1M count=20 conv=notrunc status=none
check "killed: direct write over them" killed dd if=/dev/zero of=$MNT/f bs=1M count=4 oflag=direct conv=notrunc
check "killed: direct read" killed dd if=$MNT/f of=/dev/null bs=1M count=4 iflag=direct
check "killed: truncate" killed truncate -s 1000 $MNT/f
check "killed: punch" killed fallocate -p -o 0 -l 10000000 $MNT/f
check "killed: fsync" killed sync $MNT/f
dd if=$MNT/g of=/dev/null bs=1M count=4 status=none &
reader=$!
sleep 1
check "killed: truncate over what is being read" killed truncate -s 1000000 $MNT/g
check "killed: the reader" ends_by_kill $reader
check "killed: direct read of g" killed dd if=$MNT/g of=/dev/null bs=1M count=4 iflag=direct
check "killed: punch of g" killed fallocate -p -o 0 -l 10000000 $MNT/g
check "killed: a write of g behind it" killed dd if=/dev/zero of=$MNT/g bs=4k count=1 conv=notrunc
check "killed: fallocate of g" killed fallocate -o 0 -l 50000000 $MNT/g
check "killed: truncate of g behind it" killed truncate -s 5000 $MNT/g
check "killed: umount" killed umount $MNT
check "module can be removed: all of it has ended" gone
