# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/traffic.sh - reads and writes that go on and on while a suite breaks something under them, and
# the counters of RDMA that tell what happened.
#
# fio writes a file with a checksum in each block, reads it back past the caches and checks it, and
# begins again, until it is told to stop. An error or a wrong byte ends it.
#
#	traffic_start DIR		in the background, with direct I/O and with buffered I/O
#	traffic_goes_on [SECONDS]	each of the two has ended a whole round since (120)
#	traffic_stop			after the rounds that run: status 0 when no round failed
#	until_more SECONDS N COMMAND	until the number that COMMAND prints is above N
#
#	mount_counter NAME		a counter of the newest mount
#	module_counter NAME		a counter of weft_rdma.ko
#	nothing_held			it holds no connection, queue pair, region, page; shows those it does
#	on_rail ADDRESS [WHAT]		requests that the newest mount has sent to ADDRESS so far; or bytes,
#					connections that are up, ..
#	weft_debug			the newest mount's folder in debugfs

# Direct I/O keeps many requests under way, so that all rails have some.
_traffic_loop() {
	local dir=$1 direct=$2 round=0 engine=(--ioengine=psync)
	[ $direct = 0 ] || engine=(--ioengine=libaio --iodepth=16)
	while [ ! -e /run/traffic.stop ]; do
		round=$((round + 1))
		fio --name=traffic --filename="$dir/traffic$direct" "${engine[@]}" --direct="$direct" \
			--rw=randwrite --bs=64k --size=4M --randseed=$round --end_fsync=1 --verify=crc32c \
			--verify_fatal=1 --do_verify=1 --output=/run/traffic$direct.log || return
		echo $round >/run/traffic$direct
	done
}

_traffic_stuck() {
	echo "traffic$1: no round within $2 s"
	head -n 50 "$(weft_debug)"/{rails,outstanding} /sys/kernel/debug/weft_rdma/stats
}

traffic_start() {
	rm -f /run/traffic.stop
	echo 0 | tee /run/traffic0 >/run/traffic1
	_traffic_loop "$1" 0 &
	TRAFFIC=($!)
	_traffic_loop "$1" 1 &
	TRAFFIC+=($!)
}

# The round that runs now may have begun before: the one behind it counts.
traffic_goes_on() {
	local kind before=() limit=$((SECONDS + ${1:-120}))
	for kind in 0 1; do
		before[kind]=$(cat /run/traffic$kind)
	done
	for kind in 0 1; do
		until [ "$(cat /run/traffic$kind)" -ge $((before[kind] + 2)) ]; do
			kill -0 "${TRAFFIC[kind]}" || { cat /run/traffic$kind.log; return 1; }
			[ $SECONDS -lt $limit ] || { _traffic_stuck "$kind" "${1:-120}"; return 1; }
			sleep 0.2
		done
	done
}

traffic_stop() {
	local kind status=0
	touch /run/traffic.stop
	for kind in 0 1; do
		wait "${TRAFFIC[kind]}" || { status=1; cat /run/traffic$kind.log; }
	done
	return $status
}

until_more() {
	local limit=$((SECONDS + $1)) than=$2
	shift 2
	until [ "$("$@")" -gt "$than" ]; do
		[ $SECONDS -lt $limit ] || { echo "still $("$@")"; return 1; }
		sleep 0.2
	done
}

weft_debug() { find /sys/kernel/debug/weft -mindepth 1 -maxdepth 1 | sort -V | tail -n 1; }

mount_counter() { awk -v name="$1" '$1 == name { print $2 }' "$(weft_debug)/stats"; }

module_counter() { awk -v name="$1" '$1 == name { print $2 }' /sys/kernel/debug/weft_rdma/stats; }

nothing_held() {
	awk '$1 ~ /^(connections|qps|mrs|mrs_used|pages|bufs)$/ && $2 != 0 { print; bad = 1 }
		END { exit bad }' /sys/kernel/debug/weft_rdma/stats
}

# target 3 rdma 10.77.0.1:7521 used up 1 .. requests 12 ..
on_rail() {
	awk -v addr="$1:" -v what="${2:-requests}" 'index($4, addr) == 1 {
			for (i = 5; i < NF; i++)
				if ($i == what)
					n += $(i + 1)
		}
		END { print n + 0 }' "$(weft_debug)/rails"
}
