# SPDX-License-Identifier: Apache-2.0
#
# RDMA devices of the client removed under verified I/O: one of two, both, one that it is just connecting
# by, and both under a mount with net=auto. The removal must not wait for the mount, what was under
# way goes over another rail or waits, the device is used again when it is back, and no error reaches
# the application. The servers are in the other guest: a process that holds a device of software
# would keep it from being removed.
# seconds: 900
# net: rdma
# kernels: stock x86-kasan x86-lockdep
# guests: 2
WEFT_NET=rdma
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"
first=10.77.0.1 second=10.78.0.1

# Seconds that the removal of a device may wait for connections to be drained and closed.
PATIENCE=$([[ $WEFT_KERNEL == stock* ]] && echo 30 || echo 90)

# remove DEVICE: rdma waits until nobody holds it.
remove() { timeout -s KILL $PATIENCE rdma link del "$1" && ! [ -e "/sys/class/infiniband/$1" ]; }
restore() { rdma_up rxe eth0 eth1; }
transport() { grep " $MNT weft " /proc/mounts | grep -qw "transport=$1"; }

require "devices of the client" restore
require "devices of the server" remote rdma_up rxe eth0 eth1
require "cluster starts" remote \
	"WEFT_NET=rdma WEFT_LISTEN=$first WEFT_RAILS=$first,$second; weft_up"
WEFT_SOURCE=$(remote 'echo $WEFT_SOURCE') WEFT_OPTIONS=net=rdma
cp "$WEFT_BUILD/bin/mount.weft" /sbin/
require "module" weft_module
require "mount" weft_mount
traffic_start $MNT
check "verified I/O" traffic_goes_on
for address in $first $second; do
	check "requests go over $address" until_more 60 "$(on_rail $address)" on_rail $address
done

removals=$(module_counter removals)
check "device 0 is removed" remove rxe0
check "the connections were told" test "$(module_counter removals)" -gt "$removals"
check "traffic goes on by the other" traffic_goes_on
check "device 0 is back" restore
check "and is used again" until_more 90 "$(on_rail $first)" on_rail $first

check "device 1 is removed" remove rxe1
check "device 0 too" remove rxe0
check "nothing is held of devices that are gone" nothing_held
check "both are back" restore
check "traffic goes on" traffic_goes_on 180

# The server's ends are unplugged, unseen here: the client tries to connect again and again.
broken=$(module_counter broken)
check "links cut at the server" remote 'link_set 0 off && link_set 1 off'
check "connections break" until_more 90 "$broken" module_counter broken
check "device 0 is removed while it connects" remove rxe0
check "device 1 too" remove rxe1
check "links restored" remote 'link_set 0 on && link_set 1 on'
check "devices are back" restore
check "traffic goes on after that" traffic_goes_on 180
check "no error in all that" traffic_stop
require "unmount" weft_umount
check "nothing is held" nothing_held

WEFT_OPTIONS=net=auto
require "mount with net=auto" weft_mount
traffic_start $MNT
check "by RDMA" until_ok 60 transport rdma
check "device 0 is removed under net=auto" remove rxe0
check "device 1 is removed under net=auto" remove rxe1
check "TCP takes over" until_ok 60 transport tcp
check "traffic goes on by TCP" traffic_goes_on
check "devices come back" restore
check "RDMA takes over" until_ok 90 transport rdma
check "traffic goes on by RDMA" traffic_goes_on
check "no error with net=auto" traffic_stop
require "unmount it" weft_umount
check "nothing is held in the end" nothing_held
check "idle devices are removed" rdma_down
check "the cluster stops" remote weft_down
WEFT_SOURCE=
