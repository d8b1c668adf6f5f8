# SPDX-License-Identifier: Apache-2.0
#
# What the other suites rely on: a real disk with direct I/O and io_uring, a root of its own over
# the host's files, loopback, the checkers that this kernel promises.
. "$WEFT_TOP/tests/vm/lib.sh"

has() { [ -e "/sys/kernel/debug/$1" ]; }
loopback() { { : <>/dev/tcp/127.0.0.1/1; } 2>&1 | grep -q refused; }

check "/data is ext4" test "$(stat -f -c %T /data)" = ext2/ext3
check "direct write" dd if=/dev/zero of=/data/direct bs=4096 count=16 oflag=direct conv=fsync status=none
check "direct read" dd if=/data/direct of=/dev/null bs=4096 iflag=direct status=none
check "io_uring" fio --name=uring --ioengine=io_uring --direct=1 --filename=/data/direct --rw=randrw \
	--bs=4k --size=64k --time_based=0 --output=/run/fio
check "root can be written" touch /usr/share/weft-lab
check "programs are there" test -x /usr/bin/git -a -x /usr/bin/fio -a -x /usr/bin/stress-ng
check "loopback answers" loopback
check "kernel modules" modprobe veth
expect_errno ENOENT cat /data/no-such-file
rm -f /data/direct
case $WEFT_KERNEL in
uml-debug)
	check "kmemleak is on" has kmemleak
	check "lockdep is on" grep -q 'debug_locks: *1' /proc/lockdep_stats
	check "failslab is there" has failslab ;;
x86-lockdep)
	check "lockdep is on" grep -q 'debug_locks: *1' /proc/lockdep_stats
	check "two processors" test "$(nproc)" = 2 ;;
*)
	check "two processors" test "$(nproc)" = 2 ;;
esac
