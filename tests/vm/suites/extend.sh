# SPDX-License-Identifier: Apache-2.0
#
# A data server is added to a file system that is mounted and being written: `weft fs extend` gives the
# pool a generation with it; files that exist stay where they are, new ones use it, also after the new
# server was killed, and a mount that was there before sees all of that without being told. Over RDMA it
# first is a server that this mount cannot reach, until it listens there too.
# seconds: 400
. "$WEFT_TOP/tests/vm/lib.sh"
export WEFT_CONF=$WEFT_DIR/weft.conf
late=/data/late

late_start() { weft-oss --config $late.conf 2>>$late.log & echo $! >$late.pid; }
late_kill() { kill -KILL "$(cat $late.pid)"; }
bytes_on_late() {
	local id
	id=$(weft target list | awk '$0 ~ / late / { print $1 }')
	weft target stats "$id" | awk '$4 == "bytes_written" { print $5 }'
}
told() { dmesg | grep -q 'weft: net=rdma: target [0-9]* has no address that may be used'; }
width() { weft layout get "$1" -o json | sed -n 's/.*"width": *\([0-9]*\).*/\1/p'; }
wide_file() {
	rm -f "$1" && dd if=/data/source of="$1" bs=1M conv=fsync status=none && [ "$(width "$1")" = 3 ]
}

require "cluster with two data servers" weft_up 1 2
require "mount" weft_mount
dd if=/dev/urandom of=/data/source bs=1M count=12 status=none
check "a file before" dd if=/data/source of=$MNT/before bs=1M conv=fsync status=none
check "it is two wide" test "$(width $MNT/before)" = 2
writers_start /data/ack 2 380

cat >$late.conf <<C
[node]
name = late
listen = ${WEFT_LISTEN:-127.0.0.1}:0
[mgmt]
addresses = ${WEFT_SOURCE%:/}
[target late]
path = $late
C
require "mkfs of a third" mkfs.weft -t ost --size 256M --mgmt "${WEFT_SOURCE%:/}" $late
late_start
require "weft fs extend, when it has registered" until_ok 40 weft fs extend
if [ "$WEFT_NET" = rdma ]; then
	check "the log says that this mount cannot reach it" until_ok 20 told
	late_kill
	sed -i "/^listen/a listen_rdma = $(rdma_address):0" $late.conf
	late_start
fi
require "writers go on" writers_go_on
# Each metadata server gets the map in its own time.
require "a new file is three wide" until_ok 10 wide_file $MNT/after
check "the new server has bytes of it" test "$(bytes_on_late)" -gt 1000000
check "the old file is where it was" test "$(width $MNT/before)" = 2
drop_caches
check "the old file is readable" cmp /data/source $MNT/before
check "so is the new one" cmp /data/source $MNT/after
check "the old file takes writes" dd if=/data/source of=$MNT/before bs=1M conv=notrunc,fsync status=none
check "the new server is killed" late_kill
read_direct() { dd if=$MNT/after bs=1M iflag=direct status=none | cmp - /data/source; }
read_direct &
reader=$!
late_start
check "who reads from it waits until it is back" wait $reader
require "writers go on" writers_go_on
check "writers saw no error" writers_stop
program writers_verify
require "unmount" weft_umount
require "mount again" weft_mount
check "all is there" cmp /data/source $MNT/after
program writers_verify
require "unmount again" weft_umount
late_kill
