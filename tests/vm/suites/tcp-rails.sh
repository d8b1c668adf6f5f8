# SPDX-License-Identifier: Apache-2.0
#
# Two TCP rails with a bridge in the midst of each, mounted from a network namespace of its own: a rail
# is cut where neither end sees it, idle and under verified I/O, and is found dead within seconds; a
# server that reads nothing for longer than that is not taken for dead. No error reaches anybody.
# seconds: 600
# net: tcp
# kernels: stock
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"

in_client() { nsenter --net=/run/netns/client "$@"; }
# The servers are at the bridge itself.
link_make() {
	ip link add br$1 type bridge && ip addr add 10.$((79 + $1)).0.1/24 dev br$1 &&
		ip link add port$1 type veth peer name c$1 netns client && ip link set br$1 up &&
		ip link set port$1 master br$1 up &&
		in_client ip addr add 10.$((79 + $1)).0.2/24 dev c$1 && in_client ip link set c$1 up
}
link_cut() { ip link set port$1 nomaster; }
link_join() { ip link set port$1 master br$1; }
rail_up() { [ "$(on_rail $1 up)" -gt 1 ]; }
connections_lost() { echo $(($(on_rail 10.79.0.1 lost) + $(on_rail 10.80.0.1 lost))); }
rail_down() { [ "$(on_rail $1 up)" = 0 ]; }
# Each data and metadata server listens on both.
listen_on_both() {
	local daemon
	for daemon in oss1 mds1; do
		weft_kill $daemon && sed -i 's/^listen = 10.79.0.1:\(.*\)/&,10.80.0.1:\1/' $WEFT_DIR/$daemon.conf &&
			weft_start $daemon || return
	done
}

require "bridges" modprobe -a bridge veth
require "a network for the client" ip netns add client
require "link 0" link_make 0
require "link 1" link_make 1
WEFT_LISTEN=10.79.0.1
require "cluster starts" weft_up 1 1
require "it listens on both links" listen_on_both
mkdir -p $MNT
require "mount" in_client mount -t weft "$WEFT_SOURCE" $MNT
check "a file" dd if=/dev/zero of=$MNT/file bs=1M count=8 conv=fsync status=none
for address in 10.79.0.1 10.80.0.1; do
	check "$address is used" until_ok 60 rail_up $address
done

check "idle: link 1 is cut" link_cut 1
check "idle: it is found out in 8 to 13 s" until_ok 20 rail_down 10.80.0.1
check "idle: link 1 is whole" link_join 1
check "idle: it comes back" until_ok 60 rail_up 10.80.0.1

traffic_start $MNT
check "verified I/O" traffic_goes_on
check "link 1 is cut" link_cut 1
check "it is found out in 8 to 13 s" until_ok 20 rail_down 10.80.0.1
check "I/O goes on by the other" traffic_goes_on
check "link 1 is whole" link_join 1
check "it is used again" until_more 60 "$(on_rail 10.80.0.1)" on_rail 10.80.0.1
check "no error in all that" traffic_stop

lost=$(connections_lost)
pkill -STOP -x weft-oss
dd if=/dev/zero of=$MNT/slow bs=1M count=32 oflag=direct status=none &
writer=$!
sleep 20 # for so long it reads nothing
check "a server that does not read is not taken for dead" test "$(connections_lost)" = "$lost"
pkill -CONT -x weft-oss
check "what waited for it ends without error" wait $writer
require "unmount" weft_umount
