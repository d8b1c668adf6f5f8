# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/rdma.sh - RDMA devices of software in a guest, and the links between the two guests of a
# pair. Sourced by lib.sh; `run --rdma` and `pair` use it alone.
#
# An RDMA device sits on a network device. In a guest of its own these are rail0 and rail1, dummy
# devices that loop back what is sent to their own address: the connection manager does not work on
# lo. All have MTU 9000, for RDMA packets of 4 KiB.
#
#	rdma_up [TYPE [NETDEV...]]	TYPE rxe (RoCE, the default) or siw (iWARP); devices <TYPE>0, ..
#	rdma_down			remove them and the driver: fails while somebody uses them
#	rail_set N on|off		plug or unplug rail N's cable. Not `ip link set down`: that takes the
#					address's routes as well, and rxe of 6.1 forgets how to receive when
#					it cannot send (Documentation/rdma-client.md)
#	rdma_address [N]		IPv4 address of the Nth rail's network device (0)
#	rdma_device [N]			name of the RDMA device there
#	rdma_counter DEVICE NAME	a counter of the port: sent_pkts, rcvd_pkts, rdma_sends, ..
#	rdma_resources			"qp N cq N mr N pd N cm_id N": what exists on all devices together
#
# In a guest of a pair:
#	link_set N on|off [quiet]	plug or unplug this guest's end of link N (netdev ethN); with
#					quiet it does not wait until the guest itself has noticed
#	remote COMMAND			in the client: have the server run it in its one shell; what it
#					prints and its status come back

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

# libibverbs loads the drivers of all adapters it knows of when it first finds a device: 3 to 4 s for
# each daemon of an emulated guest. The guest's files are its own.
_rdma_user_drivers() {
	find /etc/libibverbs.d -name '*.driver' ! -name rxe.driver ! -name siw.driver -delete
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
	local type=${1:-rxe} n=0 dev other
	[ $# -gt 0 ] && shift
	RDMA_NETDEVS=${*:-${RDMA_NETDEVS:-rail0 rail1}}
	# Of two devices on one network device the connection manager would take either.
	for other in rxe siw; do
		[ $other = "$type" ] || [ ! -e "/sys/class/infiniband/${other}0" ] ||
			RDMA_TYPE=$other rdma_down || return
	done
	# siw counts the memory that servers lock against this limit, root's as well.
	ulimit -l unlimited || return
	_rdma_user_drivers
	modprobe -a ib_uverbs rdma_ucm ib_umad && _rdma_driver "$type" || return
	for dev in $RDMA_NETDEVS; do
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

rail_set() {
	local state=DOWN try
	[ "$2" = off ] || state=ACTIVE
	ip link set "rail$1" carrier "$2" || return
	for try in $(seq 100); do
		grep -q $state "/sys/class/infiniband/$(rdma_device "$1")/ports/1/state" && return 0
		sleep 0.1
	done
	return 1
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

# The monitor (QMP) of a pair's guest is its second serial line. What the line echoed before it was told
# not to may have left the monitor in the midst of an object, where it takes whatever comes for more of
# it: the byte 0xff, which is never part of one, makes it begin anew.
_monitor() { printf '\377\n%s\n' "$1" >/dev/ttyS1; }

# What a pair's guests do first.
links_up() {
	local n try host=1
	[ "$1" = server ] || host=2
	for n in 0 1; do
		ip addr add 10.$((77 + n)).0.$host/24 dev eth$n && ip link set eth$n mtu 9000 up || return
	done
	stty -F /dev/ttyS1 raw -echo && stty -F /dev/ttyS2 raw -echo || return
	cat /dev/ttyS1 >/run/monitor.log &
	for try in $(seq 50); do
		_monitor '{"execute":"qmp_capabilities"}'
		sleep 0.1
		# The first answer may have come before anybody read the line.
		grep -q '"return"\|already complete' /run/monitor.log && return 0
	done
	return 1
}

link_set() {
	local up=true want=1 try
	[ "$2" = on ] || { up=false; want=0; }
	_monitor "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"link$1\",\"up\":$up}}"
	[ -z "${3:-}" ] || return 0
	for try in $(seq 100); do
		[ "$(cat "/sys/class/net/eth$1/carrier")" = $want ] && return 0
		sleep 0.1
	done
	return 1
}

# The line between the guests: `TOKEN COMMAND` goes there, `| TEXT` lines and `= TOKEN STATUS` come back.
serve_remote() {
	local token command
	while read -r token command <&9; do
		[ "$command" = remote_down ] && break
		eval "$command" >/run/remote.out 2>&1 </dev/null 9<&-
		printf -- '= %s %d\n' "$token" $? >/run/remote.status
		sed 's/^/| /' /run/remote.out >&9
		cat /run/remote.status >&9
	done 9<>/dev/ttyS2
}

# The line stays open between command and answer: what comes while nobody has it open is lost.
remote() {
	local token=$RANDOM.$RANDOM line
	{
		printf '%s %s\n' $token "$*" >&9
		while IFS= read -r -t "${REMOTE_TIMEOUT:-300}" line <&9; do
			case $line in
			'| '*) echo "${line#| }" ;;
			"= $token "*) return "${line##* }" ;;
			esac
		done
	} 9<>/dev/ttyS2
	echo "remote: no answer to: $*"
	return 99
}

# The other guest may still be booting, and drops what comes before it listens.
remote_up() {
	local try
	for try in $(seq 60); do
		REMOTE_TIMEOUT=2 remote true && return 0
	done
	return 1
}

remote_down() { printf '0 remote_down\n' >/dev/ttyS2; }
