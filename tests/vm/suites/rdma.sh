# SPDX-License-Identifier: Apache-2.0
#
# RDMA in one guest, servers and client on two rails of soft-RoCE: all traffic of a net=rdma mount is on
# verbs and no server copies bulk; a TCP mount works on the same files at the same time; broken
# connections, killed servers and a cut rail pass without an error under verified I/O; what the module
# holds of the devices is given back, and it can be unloaded and loaded again.
# seconds: 900
# net: rdma
WEFT_NET=rdma
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"
export WEFT_CONF=$WEFT_DIR/weft.conf
tcp=/run/weft-tcp

inject() { echo "$2" >"$(weft_debug)/inject_$1"; }
# Of all servers together; one that does not answer is an error.
server_counter() { weft target stats | awk -v name="rdma.$1" '$4 == name { n += $5; some = 1 } END { if (!some) exit 1; print n }'; }
on_lo() { cat /sys/class/net/lo/statistics/tx_bytes; }
mounted_with() { grep " $1 weft " /proc/mounts | grep -qw "$2"; }
same() { dd if=/run/source of="$1" bs=1M conv=fsync status=none && cmp /run/source "$2"; }
# Queue pairs of the module: [weft_rdma]. Of servers: weft-oss and the like.
no_qps_of() { ! rdma resource show qp | grep -q "comm $1"; }

rdma_up rxe
WEFT_RAILS=$(rdma_address 0),$(rdma_address 1)
require "cluster starts" weft_up
require "mount" weft_mount
check "/proc/mounts says so" mounted_with $MNT net=rdma
check "and what it comes to" mounted_with $MNT transport=rdma
check "connections of the module" test "$(module_counter connections)" -gt 0
check "nodes have rails of both kinds" bash -c "weft node list | grep -q rdma"

# Twice that each way: on verbs, not on TCP.
mib=$(scaled 32)
dd if=/dev/urandom of=/run/source bs=1M count="$mib" status=none
tcp_before=$(on_lo) read_before=$(server_counter read_bytes) write_before=$(server_counter write_bytes)
check "write $mib MiB" dd if=/run/source of=$MNT/bulk bs=1M conv=fsync status=none
drop_caches
check "read them" cmp /run/source $MNT/bulk
check "direct write" dd if=/run/source of=$MNT/direct bs=1M oflag=direct status=none
check "direct read" cmp <(dd if=$MNT/direct bs=1M iflag=direct status=none) /run/source
check "less than 4 MB of TCP went over lo" test $(($(on_lo) - tcp_before)) -lt 4000000
bytes=$((2 * mib << 20))
check "servers READ what was written" test $(($(server_counter read_bytes) - read_before)) -ge $bytes
check "servers WROTE what was read" test $(($(server_counter write_bytes) - write_before)) -ge $bytes
check "servers copied nothing" test "$(server_counter copied)" = 0
check "replies invalidated keys" test "$(server_counter invs)" -gt 0
check "and the client noticed" test "$(module_counter remote_invs)" -gt 0

mkdir -p $tcp
require "a second mount, by TCP" mount -t weft "$WEFT_SOURCE" $tcp -o net=tcp
check "/proc/mounts says that" mounted_with $tcp net=tcp
check "TCP reads what RDMA wrote" cmp /run/source $tcp/bulk
check "RDMA reads what TCP writes" same $tcp/by-tcp $MNT/by-tcp
check "TCP reads what RDMA writes" same $MNT/by-rdma $tcp/by-rdma
check "RDMA sees an overwrite by TCP" bash -c \
	"echo changed | dd of=$tcp/bulk bs=1 seek=5000000 conv=notrunc,fsync status=none &&
	dd if=$MNT/bulk bs=1 skip=5000000 count=7 status=none | grep -q changed"
check "names are the same" bash -c "mkdir $MNT/d && mv $tcp/d $tcp/e && rmdir $MNT/e && ! [ -e $tcp/e ]"
require "the TCP mount goes" umount $tcp

traffic_start $MNT
inject disconnect 11
check "verified I/O while each 11th request breaks its connection" traffic_goes_on
inject disconnect 0
check "connections were made again" test "$(mount_counter reconnects)" -gt 0
inject delay_ms 20
check "verified I/O with late replies" traffic_goes_on
inject delay_ms 0
for name in oss1 mds1; do
	before=$(mount_counter reconnects)
	check "kill -9 $name under traffic" weft_kill $name
	check "start $name" weft_start $name
	check "traffic goes on" traffic_goes_on
	check "connections to it were made again" test "$(mount_counter reconnects)" -gt "$before"
done

# One of the two rails goes and comes back.
first=$(rdma_address 0) second=$(rdma_address 1)
for address in $first $second; do
	check "requests go over $address" until_more 60 "$(on_rail $address)" on_rail $address
done
broken=$(module_counter broken)
check "rail 0 is cut" rail_set 0 off
check "connections on it break" until_more 60 "$broken" module_counter broken
check "traffic goes on without it" traffic_goes_on
check "rail 0 is there again" rail_set 0 on
check "and is used again" until_more 60 "$(on_rail $first)" on_rail $first
cat "$(weft_debug)/rails"
check "nothing fell back to TCP" test "$(mount_counter fallbacks)" = 0
check "no error in all that" traffic_stop
require "unmount" weft_umount
check "nothing is held of the devices" nothing_held

for round in $(seq "$(scaled 3)"); do
	require "unload $round" weft_module_remove
	require "load $round" weft_module
	require "mount $round" weft_mount
	check "files are there $round" cmp /run/source $MNT/by-rdma
	require "unmount $round" weft_umount
	check "nothing is held $round" nothing_held
done
check "no queue pair of the module is left" no_qps_of '\[weft'
check "servers end theirs too" until_ok 30 no_qps_of weft
