# SPDX-License-Identifier: Apache-2.0
#
# The same over iWARP (siw): another provider, no receiver-not-ready, no shared port space with TCP.
# seconds: 400
# net: rdma
# kernels: stock x86-kasan
# needs: siw
WEFT_NET=rdma WEFT_RDMA=siw
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"
debug=/sys/kernel/debug

require "cluster starts" weft_up
require "mount" weft_mount
check "connections of the module" grep -q '^connections [1-9]' $debug/weft_rdma/stats
traffic_start $MNT
check "verified I/O" traffic_goes_on
echo 7 | tee $debug/weft/*/inject_disconnect >/dev/null
check "verified I/O while each 7th request breaks its connection" traffic_goes_on
echo 0 | tee $debug/weft/*/inject_disconnect >/dev/null
check "kill -9 of a data server" weft_kill oss1
check "it starts again" weft_start oss1
check "traffic goes on" traffic_goes_on
check "no error in all that" traffic_stop
require "unmount" weft_umount
check "nothing is held of the devices" nothing_held
