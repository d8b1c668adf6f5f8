# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/rdma.sh - RDMA devices of software in a guest. Sourced by lib.sh; `run --rdma` uses it alone.
#
# An RDMA device sits on a network device. In a guest of its own these are rail0 and rail1, dummy
# devices that loop back what is sent to their own address: the connection manager does not work on
# lo. All have MTU 9000, for RDMA packets of 4 KiB.
#
#	rdma_up [TYPE [NETDEV...]]	TYPE rxe (RoCE, the default) or siw (iWARP); devices <TYPE>0, ..
#	rdma_down			remove them and the driver: fails while somebody uses them
#	rdma_address [N]		IPv4 address of the Nth rail's network device (0)
#	rdma_device [N]			name of the RDMA device there
#	rdma_counter DEVICE NAME	a counter of the port: sent_pkts, rcvd_pkts, rdma_sends, ..
#	rdma_resources			"qp N cq N mr N pd N cm_id N": what exists on all devices together

# siw is no part of Debian's kernel: it was built by tests/vm/siw.
_rdma_driver() {
	local ko
	if [ "$1" = siw ] && [ "$WEFT_KERNEL" = stock ]; then
		grep -q '^siw ' /proc/modules && return
		ko=$("$WEFT_TOP/tests/vm/siw" stock) || return
		modinfo -F depends "$ko" | tr , '\n' | xargs -r modprobe -a || return
		insmod "$ko"
	else
		modprobe "$([ "$1" = rxe ] && echo rdma_rxe || echo "$1")"
	fi
}

# A device is of use when its port is up and the GID of its IPv4 address has come (iWARP has none).
_rdma_ready() {
	local port=/sys/class/infiniband/$1/ports/1 try
	for try in $(seq 100); do
		grep -q ACTIVE "$port/state" && { [[ $1 == siw* ]] || grep -qs 0000:ffff: "$port"/gids/*; } &&
			return 0
		sleep 0.1
	done
	echo "rdma_up: $1 does not get ready: $(cat "$port/state")"
	return 1
}

rdma_up() {
	local type=${1:-rxe} n=0 dev
	[ $# -gt 0 ] && shift
	[ $# -gt 0 ] || set -- rail0 rail1
	modprobe -a ib_uverbs rdma_ucm ib_umad && _rdma_driver "$type" || return
	for dev; do
		if [ ! -e "/sys/class/net/$dev" ]; then
			ip link add "$dev" type dummy && ip addr add 10.$((77 + n)).0.1/24 dev "$dev" || return
		fi
		ip link set "$dev" mtu 9000 up || return
		[ -e "/sys/class/infiniband/$type$n" ] ||
			rdma link add "$type$n" type "$type" netdev "$dev" || return
		_rdma_ready "$type$n" || return
		n=$((n + 1))
	done
	RDMA_TYPE=$type
}

rdma_device() { echo "$RDMA_TYPE${1:-0}"; }

rdma_address() {
	local dev
	dev=$(rdma link show "$(rdma_device "${1:-0}")/1" | sed -n 's/.* netdev \([^ ]*\).*/\1/p')
	ip -4 -o addr show dev "$dev" | awk '{ sub("/.*", "", $4); print $4; exit }'
}

rdma_counter() { cat "/sys/class/infiniband/$1/ports/1/hw_counters/$2"; }

# 1: rxe0: pd 1 cq 1 qp 1 cm_id 0 mr 0 ctx 0 srq 0
rdma_resources() {
	rdma resource show | awk '{ for (i = 3; i < NF; i += 2) n[$i] += $(i + 1) }
		END { print "qp", n["qp"] + 0, "cq", n["cq"] + 0, "mr", n["mr"] + 0,
			"pd", n["pd"] + 0, "cm_id", n["cm_id"] + 0 }'
}

rdma_down() {
	local dev
	for dev in /sys/class/infiniband/*; do
		[ ! -e "$dev" ] || rdma link del "${dev##*/}" || return
	done
	case ${RDMA_TYPE:-} in
	rxe) rmmod rdma_rxe ;;
	siw) rmmod siw ;;
	esac
}
