# SPDX-License-Identifier: Apache-2.0
#
# Servers in one guest, the client in another, two links between them: links are cut and restored
# idle and under verified I/O, by the client's carrier and silently at the server's side; one rail of
# two, both at once; the servers are killed. No error reaches the application.
# seconds: 900
# net: rdma
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

# one_of_two WHERE SECONDS COMMAND..: link 1 alone, by link_set here or there
one_of_two() {
	local where=$1 seconds=$2 broken
	shift 2
	broken=$(module_counter broken)
	check "link 1 is unplugged at $where" "$@" link_set 1 off
	check "its connections break" until_more "$seconds" "$broken" module_counter broken
	check "traffic goes on by the other" traffic_goes_on
	check "link 1 is plugged in" "$@" link_set 1 on
	check "and is used again" until_more 90 "$(on_rail 10.78.0.1)" on_rail 10.78.0.1
}
# 1: no connection to this address is up any more
gone_on() { [ "$(on_rail "$1" up)" != 0 ]; echo $?; }

# Half of an object, as an echo may leave it, must not keep the monitor from hearing the rest.
require "this guest's monitor cuts links" eval \
	"printf '{\"QMP\": {\"version\": ' >/dev/ttyS1; link_set 1 off && link_set 1 on"
require "devices of the client" rdma_up rxe eth0 eth1
require "devices of the server" remote rdma_up rxe eth0 eth1
require "cluster starts" remote \
	"WEFT_NET=rdma WEFT_LISTEN=10.77.0.1 WEFT_RAILS=10.77.0.1,10.78.0.1; weft_up"
WEFT_SOURCE=$(remote 'echo $WEFT_SOURCE') WEFT_OPTIONS=net=rdma
cp "$WEFT_BUILD/bin/mount.weft" /sbin/
require "module" weft_module
require "mount" weft_mount

# Nobody uses the data servers' connections by then: their going has to be noticed all the same.
check "a file" dd if=/dev/zero of=$MNT/file bs=1M count=8 conv=fsync status=none
check "both links are up" test "$(on_rail 10.77.0.1 up)" -gt 2 -a "$(on_rail 10.78.0.1 up)" -gt 2
check "idle: link 1 is unplugged at the server" remote link_set 1 off
check "idle: this is found out here" until_more 30 0 gone_on 10.78.0.1
check "idle: link 1 is plugged in" remote link_set 1 on
check "idle: it comes back" until_more 60 2 on_rail 10.78.0.1 up

traffic_start $MNT
check "verified I/O between guests" traffic_goes_on
for address in 10.77.0.1 10.78.0.1; do
	check "requests go over $address" until_more 60 "$(on_rail $address)" on_rail $address
done

one_of_two "the client" 10
# What was sent there is given up after 8 s.
one_of_two "the server, unseen here" 30 remote

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
