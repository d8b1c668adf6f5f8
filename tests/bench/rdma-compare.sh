#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# rdma-compare.sh [options] - the same work on weft by RDMA, weft by TCP and NFSv4.2 by RDMA, and what
# the verbs alone carry (perftest), in one run on one machine.
#
# Runs as root in a guest with an RDMA device ($RDMA_DEVICE, at $RDMA_ADDRESS), with a cluster that
# listens on it and on TCP ($WEFT_SOURCE; $WEFT_CONF names it for the tools). All three are mounted; each
# phase runs on one after the other, in another order in each round; the table has medians. Rows:
#
#	write, read of 4 KiB, 64 KiB, 1 MiB	4 threads, O_DIRECT, MiB/s
#	buffered write, read			1 MiB at a time, the write with its fsync
#	randread, stat				one thread, 4 KiB O_DIRECT at random; a name that is in no
#						cache; microseconds, median
#
# Bare verbs are ib_write_bw for reads (the server WRITEs) and ib_read_bw for writes; "of verbs" is
# our fraction of that. The second table has the cost: processor time for each byte moved (for the
# latencies microseconds for each operation) of the whole machine, which is client, servers and
# soft-RoCE together, and of the servers' processes or threads, with what soft-RoCE does for either
# side in system calls of theirs and in interrupts that meet them. And requests for each operation.
# The last lines give the copies for each byte of bulk, of the servers' and the client's own counters.
#
#	--rounds N (3)  --threads N (4)  --seconds N of each perftest (3)
#	--scale N (1)   so many times the bytes and operations, for real machines
#	--results FILE  keep the JSON line of each phase
#	--only NAME,..  of weft_rdma, weft_tcp, nfs_rdma, verbs
#	--targets       fail when NFS by RDMA is faster, or a server copied bulk
#
# Status: 0; 1 a target was missed (--targets); 2 it could not run, which a sentence explains.
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${WEFT_BUILD:-$here/../../build}/tests/bench
rounds=3 threads=4 seconds=3 scale=1 results= targets= only=
export_dir=/data/rdma-export
at=/run/rdma-compare

die() { echo "rdma-compare: $*" >&2; exit 2; }
. "$here/lib/nfs.sh"
. "$here/lib/results.sh"

while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	--seconds) seconds=$2; shift 2 ;;
	--scale) scale=$2; shift 2 ;;
	--results) results=$2; shift 2 ;;
	--only) only=${2//,/ }; shift 2 ;;
	--targets) targets=1; shift ;;
	*) die "unknown argument $1" ;;
	esac
done
: "${RDMA_DEVICE:?}" "${RDMA_ADDRESS:?}"
wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }
[ -n "$results" ] || results=$(mktemp)
: >"$results"
mkdir -p $at
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug

finish() {
	local status=$? label
	for label in weft_rdma weft_tcp; do
		mountpoint -q "$at/$label" && umount -f "$at/$label"
	done
	[ ! -d $export_dir ] || nfs_down $export_dir $at/nfs_rdma
	exit $status
}
trap finish EXIT

# KiB of each thread. As small blocks move fewer bytes in the same time, they get fewer.
size_of() {
	local kib
	case $1 in 4k) kib=2048 ;; 64k) kib=8192 ;; *) kib=32768 ;; esac
	echo $((kib * scale))k
}

# The options that count requests and servers' time on what is mounted there.
declare -A count_options

# phases PREFIX SUFFIX PROGRAM OPTIONS...: run it on each and name its phases
phases() {
	local prefix=$1 suffix=$2 program=$3 label
	shift 3
	for label in $order; do
		wanted "$label" || continue
		# shellcheck disable=SC2086
		"$bin/$program" --json --drop --label "$label" ${count_options[$label]} "$@" "$at/$label" |
			sed "s/\"phase\":\"\([a-z]*\)/\"phase\":\"$prefix\1$suffix/" >>"$results" ||
			die "the benchmark failed on $label: $program $*"
	done
}

work() {
	local size
	for size in 4k 64k 1m; do
		phases '' _$size iobench -t "$threads" -s "$(size_of $size)" -b $size --direct --phases write,read
	done
	phases buffered_ '' iobench -t 1 -s $((64 * scale))m -b 1m --phases write,read
	phases '' '' iobench -t 1 -s 4m -b 4k --direct --random-ops $((400 * scale)) --phases write,randread
	phases '' '' mdbench -t 1 -n $((400 * scale)) --phases create,stat
}

mount_weft() {
	local label=weft_$1 before
	wanted "$label" || return 0
	mkdir -p "$at/$label"
	before=$(ls /sys/kernel/debug/weft)
	mount -t weft "$WEFT_SOURCE" "$at/$label" -o "net=$1" || die "mounting weft with net=$1"
	count_options[$label]="--servers weft-oss,weft-mds --stats /sys/kernel/debug/weft/$(
		ls /sys/kernel/debug/weft | grep -vxF "$before")/stats"
}

mount_nfs() {
	wanted nfs_rdma || return 0
	nfs_up $export_dir rdma
	nfs_mount $at/nfs_rdma rdma "$RDMA_ADDRESS"
	count_options[nfs_rdma]="--servers nfsd --nfs $at/nfs_rdma"
}

# The servers' counters together, and the client's: "NAME VALUE" lines.
copy_counters() {
	weft target stats | awk '$4 ~ /^rdma\./ { sub("rdma.", "server_", $4); n[$4] += $5 }
		END { for (i in n) print i, n[i] }'
	awk '{ print "client_" $1, $2 }' /sys/kernel/debug/weft_rdma/stats
}
copies_before() { copy_counters >/run/rdma-copies.before; }
copies_after() { copy_counters | join <(sort /run/rdma-copies.before) <(sort) >/run/rdma-copies; }

# verbs PROGRAM SIZE: what two programs on this machine get
verbs() {
	local args=(-d "$RDMA_DEVICE" -x 1 -F -D "$seconds" -t 16 -s "$2") mib server try
	timeout 60 "$1" "${args[@]}" >/dev/null 2>&1 &
	server=$!
	for try in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.5	# it does not say when it listens
		mib=$(timeout 60 "$1" "${args[@]}" "$RDMA_ADDRESS" 2>/dev/null |
			awk -v size="$2" '$1 == size && NF == 5 { print $4 }')
		[ -n "$mib" ] && break
	done
	wait $server
	[ -n "$mib" ] || die "$1 does not work"
	echo "{\"label\":\"verbs\",\"phase\":\"$3\",\"mib_per_s\":$mib}" >>"$results"
}

work_verbs() {
	local size
	wanted verbs || return
	for size in 4096:4k 65536:64k 1048576:1m; do
		verbs ib_write_bw "${size%:*}" "read_${size#*:}"
		verbs ib_read_bw "${size%:*}" "write_${size#*:}"
	done
}

table() {
	awk -v targets="$targets" "$results_awk"'
	function ratio(a, b) { return a != "-" && b + 0 > 0 ? sprintf("%.2f", a / b) : "-" }
	function one(format, x) { return x == "-" ? x : sprintf(format, x) }
	function row(p, unit, what,    r, t, n, v, better, missed) {
		r = median(what[p, "weft_rdma"]); t = median(what[p, "weft_tcp"]); n = median(what[p, "nfs_rdma"])
		v = median(mib[p, "verbs"])
		better = unit == "us" ? ratio(n, r) : ratio(r, n)
		missed = better != "-" && better + 0 < 1
		below += missed
		printf "%-16s %5s %9s %9s %9s %8s %8s %9s %8s%s\n", p, unit, one("%.1f", r), one("%.1f", t),
			one("%.1f", n), unit == "us" ? ratio(t, r) : ratio(r, t), better, one("%.1f", v), ratio(r, v),
			missed ? "  BELOW NFS" : ""
	}
	function cost(p, unit,    i, l) {
		printf "%-16s %5s", p, unit
		for (i = 1; i <= 3; i++)
			printf " %9s", one("%.1f", median(cpu[p, labels[i]]))
		printf "  "
		for (i = 1; i <= 3; i++)
			printf " %9s", one("%.2f", median(scpu[p, labels[i]]))
		printf "  "
		for (i = 1; i <= 3; i++)
			printf " %6s", one("%.2f", median(rpcs[p, labels[i]]))
		printf "\n"
	}
	{
		p = field("phase"); l = field("label")
		mib[p, l] = mib[p, l] " " field("mib_per_s")
		lat[p, l] = lat[p, l] " " field("p50_us")
		if (l == "verbs") next
		amount = field("mib_per_s") * field("seconds") * 1048576 / 1e9
		if (p == "randread" || p == "stat") amount = field("ops") / 1e6
		if (amount <= 0) next
		cpu[p, l] = cpu[p, l] " " field("cpu_s") / amount
		scpu[p, l] = scpu[p, l] " " field("server_cpu_s") / amount
		rpcs[p, l] = rpcs[p, l] " " field("rpcs_per_op")
	}
	END {
		split("weft_rdma weft_tcp nfs_rdma", labels, " ")
		n = split("write_4k write_64k write_1m read_4k read_64k read_1m buffered_write buffered_read", rows, " ")
		printf "%-22s %9s %9s %9s %8s %8s %9s %8s\n", "", "weft rdma", "weft tcp", "nfs rdma",
			"to tcp", "to nfs", "verbs", "of verbs"
		for (i = 1; i <= n; i++)
			row(rows[i], "MiB/s", mib)
		row("randread", "us", lat)
		row("stat", "us", lat)
		printf "\n%-22s %29s   %29s   %20s\n", "cost", "machine: weft rdma, tcp, nfs", "servers: the same",
			"requests: the same"
		for (i = 1; i <= n; i++)
			cost(rows[i], "ns/B")
		cost("randread", "us")
		cost("stat", "us")
		exit targets != "" && below ? 1 : 0
	}' "$results"
}

# NAME BEFORE AFTER, of all rounds
copies_table() {
	awk -v targets="$targets" '
	{ n[$1] += $3 - $2 }
	END {
		bulk = n["server_read_bytes"] + n["server_write_bytes"]
		printf "servers moved %.1f MiB of bulk by READ and WRITE, copied %.1f MiB (%.4f copies for each byte); ",
			bulk / 1048576, n["server_copied"] / 1048576, bulk ? n["server_copied"] / bulk : 0
		small = n["server_inline_in"] + n["server_inline_out"]
		printf "%.1f MiB of small bulk came or went inline, copied once\n", small / 1048576
		moved = n["client_read_bytes"] + n["client_write_bytes"]
		printf "the client offered %.1f MiB of its pages, sent %.1f MiB inline from where it lay, and copied %.1f MiB\n",
			moved / 1048576, n["client_gathered_bytes"] / 1048576, n["client_inline_bytes"] / 1048576
		exit !bulk || (targets != "" && n["server_copied"] > 0)
	}' /run/rdma-copies
}

rm -f /run/rdma-copies
mount_weft rdma
mount_weft tcp
mount_nfs
! wanted weft_rdma || copies_before
for round in $(seq "$rounds"); do
	case $((round % 3)) in
	1) order="weft_rdma weft_tcp nfs_rdma" ;;
	2) order="nfs_rdma weft_rdma weft_tcp" ;;
	0) order="weft_tcp nfs_rdma weft_rdma" ;;
	esac
	work
	work_verbs
done
! wanted weft_rdma || copies_after
echo "weft by RDMA and by TCP, NFSv4.2 by RDMA (sync), verbs alone (perftest): $RDMA_DEVICE, medians of $rounds rounds"
status=0
table || status=1
! wanted weft_rdma || copies_table || status=1
exit $status
