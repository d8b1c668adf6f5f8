# SPDX-License-Identifier: Apache-2.0
#
# A server that breaks the rules of RDMA towards the kernel client (tests/cluster/rdma_bad_server.c):
# it takes the place of a killed data server, once for each misdeed. The client must end the
# connection (or its device refuse the access), say so in the log, crash never, and go on with the
# real server when that is back: reader and writer that waited all the time see no error.
# seconds: 1500
# net: rdma
# kernels: stock x86-kasan x86-lockdep
WEFT_NET=rdma
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"
bad=$WEFT_BUILD/tests/cluster/rdma_bad_server

# Lines of the module in the log behind the newest mark.
complained() { dmesg | tac | sed '/weft-lab: bad/q' | grep -Eq 'weft(_rdma)?: '; }

require "cluster starts" weft_up 1 1
require "mount" weft_mount
dd if=/dev/urandom of=/run/source bs=1M count=8 status=none
dd if=/dev/urandom of=/run/more bs=1M count=8 status=none
require "a file" dd if=/run/source of=$MNT/file bs=1M conv=fsync status=none
daemon=$(weft_daemons | grep oss)
address=$(sed -n 's/^listen_rdma = //p' "$WEFT_DIR/$daemon.conf")
require "the data server listens on verbs" test -n "$address"
require "the data server is killed" weft_kill "$daemon"
drop_caches
dd if=$MNT/file of=/run/got bs=1M iflag=direct status=none &
reader=$!
dd if=/run/more of=$MNT/more bs=1M oflag=direct status=none &
writer=$!

while read -r mode; do
	echo "weft-lab: bad $mode" >/dev/kmsg
	check "$mode" timeout -s KILL 90 "$bad" "$address" "$mode" 60
	# When the device has refused it, that is the line of the next attempt to connect.
	check "$mode: a line in the log" until_ok 20 complained
done < <("$bad" --list)

# Each request meets the end of its connection: made again with pauses, and told in the log once.
check "hang-up: few connections" timeout -s KILL 60 "$bad" "$address" hang-up 20 40
check "hang-up: a line in the log" sh -c "dmesg | grep -q 'breaks all connections by rdma'"
check "hang-up: pauses are counted" test "$(mount_counter pauses)" -gt 3

check "reader and writer still wait" kill -0 $reader $writer
check "the data server is back" weft_start "$daemon"
check "the reader ends without error" wait $reader
check "the writer too" wait $writer
check "what was read is right" cmp /run/source /run/got
drop_caches
check "what was written is right" cmp /run/more $MNT/more
check "the file has not changed" cmp /run/source $MNT/file
require "unmount" weft_umount
