# SPDX-License-Identifier: Apache-2.0
#
# The kernel client's RDMA: all bulk by segments and none left registered, mounts of both transports
# on the same files, two rails that share the load, a rail that goes and comes back under traffic,
# the fallback of net=auto, broken connections, killed callers, unloading.
# seconds: 900
# net: rdma
WEFT_NET=tcp # options are given to each mount here
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"

shows() { grep -q "$1" /proc/mounts; }
nothing_registered() { [ "$(module_counter mrs_used)" = 0 ]; }
written_and_read() { # FILE MIB [DD OPTIONS]
	dd if=/tmp/data of="$1" bs=1M count="$2" conv=fsync "${@:3}" status=none && drop_caches &&
		cmp -n $(($2 << 20)) /tmp/data "$1"
}
# Writes and reads $1 again and again until $2 appears.
traffic() {
	local i=0
	until [ -e "$2" ]; do
		written_and_read "$1.$((i++ % 2))" 8 || { touch /tmp/traffic.failed; return 1; }
	done
}
both_rails() { [ "$(on_rail 10.77.0.1)" -gt 0 ] && [ "$(on_rail 10.78.0.1)" -gt 0 ]; }
both_rails_used() { both_rails || { written_and_read $MNT/more 4 && false; }; }
# 32 reads, one after the other: each rail has its share.
taken_in_turns() {
	local first=$(on_rail 10.77.0.1) second=$(on_rail 10.78.0.1)
	dd if=$MNT/direct of=/dev/null bs=64k count=32 iflag=direct status=none || return
	first=$(($(on_rail 10.77.0.1) - first)) second=$(($(on_rail 10.78.0.1) - second))
	echo "$first and $second requests"
	[ $first -ge 8 ] && [ $second -ge 8 ]
}
rail_up() { [ "$(on_rail 10.78.0.1 up)" -gt 0 ]; }
rail_down() { ! rail_up; }
auto_fell() { [ "$(mount_counter fallen_back)" -gt 0 ]; }
auto_back() { [ "$(mount_counter fallen_back)" = 0 ]; }

require "RDMA devices" rdma_up
require "modules" weft_module
grep -q ^weft_rdma /proc/modules || { modprobe rdma_cm; insmod "$WEFT_KMOD/weft_rdma.ko"; }
require "cluster" weft_up 1 2 --rdma "$(rdma_address 0),$(rdma_address 1)" --wait 180
head -c 16M /dev/urandom >/tmp/data

require "mount with net=rdma" weft_mount $MNT net=rdma
check "/proc/mounts says rdma" shows "net=rdma,transport=rdma"
check "buffered, both ways" written_and_read $MNT/buffered 16
check "direct, both ways" written_and_read $MNT/direct 16 oflag=direct
check "a small file" sh -c "echo small >$MNT/small && grep -q small $MNT/small"
check "bulk went by segments" test "$(module_counter read_bytes)" -ge $((32 << 20)) -a "$(module_counter write_bytes)" -ge $((32 << 20))
check "and not inline" test "$(module_counter inline_bytes)" -lt 100000
check "the server invalidated" test "$(module_counter remote_invs)" -gt 32
check "nothing is registered when nothing goes on" until_ok 60 nothing_registered
check "both rails were used" until_ok 60 both_rails_used
check "little load goes over both" taken_in_turns

mkdir -p /weft.tcp
check "a mount by TCP beside it" weft_mount /weft.tcp net=tcp
check "it reads what the other wrote" cmp /tmp/data /weft.tcp/direct
check "and the other way round" sh -c "cp /tmp/data /weft.tcp/by-tcp && sync && cmp /tmp/data $MNT/by-tcp"
weft_umount /weft.tcp

echo 20 >"$(weft_debug)"/inject_disconnect
check "broken connections under traffic" written_and_read $MNT/broken 16
check "direct too" written_and_read $MNT/broken2 16 oflag=direct
echo 0 >"$(weft_debug)"/inject_disconnect
check "there were some" test "$(mount_counter reconnects)" -gt 0
echo 3 >"$(weft_debug)"/inject_drop_n
check "lost replies" written_and_read $MNT/lost 8

traffic $MNT/cut /tmp/enough &
job=$!
rail_set 1 off
check "a rail is cut under traffic" until_ok 60 rail_down
check "traffic goes on" written_and_read $MNT/oneleft 8
rail_set 1 on
check "its rail comes back" until_ok 60 rail_up
touch /tmp/enough
check "no error to the application" wait $job
refuse "and no wrong byte" test -e /tmp/traffic.failed

pkill -STOP -x weft-oss
dd if=$MNT/direct of=/dev/null bs=1M iflag=direct status=none &
job=$!
sleep 1 # it waits for its replies by then
kill -KILL $job
start=$SECONDS
wait $job 2>/dev/null
check "a killed reader leaves within seconds" test $((SECONDS - start)) -le 8
pkill -CONT -x weft-oss
check "others go on" timeout 60 cmp /tmp/data $MNT/direct

# A listing goes into memory of the caller: the device must be kept off it before he leaves.
mkdir $MNT/dir && touch $MNT/dir/{1..40}
check "remount" weft_umount
require "mount" weft_mount $MNT net=rdma
check "the directory is known" stat $MNT/dir
pkill -STOP -x weft-mds
ls $MNT/dir >/dev/null &
job=$!
sleep 2 # it waits for its reply by then
kill -KILL $job
start=$SECONDS
wait $job 2>/dev/null
check "a killed ls leaves within seconds" test $((SECONDS - start)) -le 8
check "its memory was taken back" test "$(module_counter detaches)" -gt 0 -a "$(module_counter local_invs)" -gt 0 -a "$(module_counter pages)" = 0
pkill -CONT -x weft-mds
check "and listed again" sh -c "[ \$(timeout 100 ls $MNT/dir | wc -l) = 40 ]"

check "unmount" weft_umount
check "nothing of it is left" nothing_held

require "mount with net=auto" weft_mount $MNT net=auto
check "a file" written_and_read $MNT/auto 4
check "by RDMA" shows "net=auto,transport=rdma"
rail_set 0 off
rail_set 1 off
check "without rails it goes on by TCP" timeout 100 cmp -n 4M /tmp/data $MNT/auto
check "new files too" timeout 100 cp /tmp/data $MNT/fallen
check "the fallback is counted" auto_fell
check "and shown" shows "transport=tcp"
check "and told" sh -c "dmesg | grep -q 'falling back to TCP'"
rail_set 0 on
rail_set 1 on
check "when a rail is back so is RDMA" until_ok 60 auto_back
check "unmount" weft_umount
check "nothing of it is left" nothing_held

weft_rails_none() { mount -t weft "$WEFT_SOURCE" $MNT -o net=rdma,rails=192.0.2.0/24; }
refuse "no rail in the subnet" weft_rails_none
check "the log names the target" sh -c "dmesg | grep -q 'target 1 has no address that may be used'"
check "weft_rdma can be removed" rmmod weft_rdma
