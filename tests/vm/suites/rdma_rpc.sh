# SPDX-License-Identifier: Apache-2.0
#
# The rpc layer of user space over RDMA: calls and bulk of every size, peers that break the rules, many
# connections at once, kill -9 of either side, and a cluster whose servers talk to each other over
# RDMA. The devices end as they began. Not under KASAN: rdma_rxe of 6.1 reads one word behind its table
# when a copy ends with the last page of one of its maps (rxe_mr_copy).
# net: rdma
# kernels: stock x86-lockdep
. "$WEFT_TOP/tests/vm/lib.sh"

rpc=$WEFT_BUILD/tests/cluster/rdma_rpc
server=
has_port() { port=$(sed -n 's/^port //p' /tmp/serve.out) && [ -n "$port" ]; }
serve() {
	: >/tmp/serve.out
	$rpc serve "$address" "${port:-0}" >/tmp/serve.out 2>>/tmp/serve.err &
	server=$!
	until_ok 10 has_port || { cat /tmp/serve.err; return 1; }
}
serve_end() {
	kill -TERM $server
	wait $server
	grep -q '^ended' /tmp/serve.out && ! grep LEAK /tmp/serve.out
}
client() { timeout -s ABRT 120 "$rpc" "$1" "$address" "$port" "${@:2}" 2>/tmp/client.err || { tail -n 20 /tmp/client.err; return 1; }; }
restarts() {
	client hammer $((3 * $1 + 4)) >/tmp/hammer.out &
	local job=$! i
	for i in $(seq "$1"); do
		sleep 3 # the time in which calls run
		kill -KILL $server
		wait $server 2>/dev/null
		serve || return 1
	done
	wait $job && awk '/^rounds/ { exit !($4 > 2 && $8 > 0) }' /tmp/hammer.out
}
killed_client() {
	"$rpc" hammer "$address" "$port" 30 >/dev/null 2>&1 &
	local job=$!
	sleep 1
	kill -KILL $job
	wait $job 2>/dev/null
	client check >/tmp/check.out
}
# What a fresh guest has, and what is there again when all is closed.
as_before() { [ "$(rdma_resources)" = "$before" ]; }
nothing_left() { until_ok 10 as_before || { echo "before: $before; now: $(rdma_resources)"; return 1; }; }

require "RDMA devices" rdma_up
address=$(rdma_address)
before=$(rdma_resources)
require "a server" serve
program client check
program timeout 300 "$WEFT_BUILD/tests/cluster/rdma_bad" "$address" "$port"
check "40 connections at once" client many 40
check "calls go on while the server is killed and started" restarts "$(scaled 5)"
check "a client that is killed harms nobody" killed_client
check "the server ends with nothing left over" serve_end
check "the devices are as before" nothing_left

cluster() { weft_module && weft dev up --dir $WEFT_DIR --mds 2 --oss 2 --rdma "$address" --net rdma --wait 180; }
require "a cluster with RDMA rails" cluster
export WEFT_CONF=$WEFT_DIR/weft.conf
counted() { weft target stats | awk -v name="rdma.$1" '$4 == name { n += $5 } END { print n + 0 }'; }
check "rails of both kinds are listed" sh -c 'weft node list | grep -q "tcp://.*,rdma://"'
mgmt=$(sed -n 's/^addresses = //p' "$WEFT_CONF")
check "libweft over RDMA" env WEFT_NET=rdma "$WEFT_BUILD/tests/cluster/libweft" "$mgmt"
check "metadata servers talk over RDMA" test "$(counted connected)" -gt 0
check "data was read and written by the servers' devices" test "$(counted read_bytes)" -gt 1000000 -a \
	"$(counted write_bytes)" -gt 1000000
check "no bulk was copied" test "$(counted copied)" = 0
check "no peer broke a rule" test "$(counted bad_peers)" = 0
