# SPDX-License-Identifier: Apache-2.0
#
# Servers in one guest, the client in another, two links between them: links are cut and restored
# under verified I/O, by the client's carrier and silently at the server's side; one rail of two, both
# at once; the servers are killed. No error reaches the application.
# seconds: 900
# net: rdma
# default: no
# kernels: stock x86-kasan x86-lockdep
# guests: 2
WEFT_NET=rdma
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"

# cut_and_restore WHAT COMMAND RESTORE: connections break, and after that traffic goes on
cut_and_restore() {
	local broken
	broken=$(module_counter broken)
	check "$1: cut" eval "$2"
	check "$1: connections break" until_more 90 "$broken" module_counter broken
	check "$1: restored" eval "$3"
	check "$1: traffic goes on" traffic_goes_on 180
}

require "devices of the client" rdma_up rxe eth0 eth1
require "devices of the server" remote rdma_up rxe eth0 eth1
require "cluster starts" remote \
	"WEFT_NET=rdma WEFT_LISTEN=10.77.0.1 WEFT_RAILS=10.77.0.1,10.78.0.1; weft_up"
WEFT_SOURCE=$(remote 'echo $WEFT_SOURCE') WEFT_OPTIONS=net=rdma
cp "$WEFT_BUILD/bin/mount.weft" /sbin/
require "module" weft_module
require "mount" weft_mount
traffic_start $MNT
check "verified I/O between guests" traffic_goes_on
for address in 10.77.0.1 10.78.0.1; do
	check "requests go over $address" until_more 60 "$(on_rail $address)" on_rail $address
done

broken=$(module_counter broken)
check "link 1 is unplugged" link_set 1 off
check "its connections break" until_more 90 "$broken" module_counter broken
check "traffic goes on by the other" traffic_goes_on
check "link 1 is plugged in" link_set 1 on
check "and is used again" until_more 90 "$(on_rail 10.78.0.1)" on_rail 10.78.0.1

cut_and_restore "both links at the client" "link_set 0 off && link_set 1 off" "link_set 0 on && link_set 1 on"
cut_and_restore "both links at the server, unseen here" \
	"remote 'link_set 0 off && link_set 1 off'" "remote 'link_set 0 on && link_set 1 on'"
for name in oss1 mds1; do
	check "kill -9 $name" remote weft_kill $name
	check "start $name" remote weft_start $name
	check "traffic goes on" traffic_goes_on
done
check "no error in all that" traffic_stop
require "unmount" weft_umount
check "nothing is held of the devices" nothing_held
check "the cluster stops" remote weft_down
WEFT_SOURCE=
