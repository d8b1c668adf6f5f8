#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# nfs-compare.sh [options] WEFT_MOUNT - the same work on weft and on the kernel's NFSv4.2, side by side.
#
# Runs as root in a guest. WEFT_MOUNT is a mounted weft whose servers keep their data on /data; the
# NFS server of this kernel exports a directory of the same /data with `sync`, mounted through
# loopback with vers=4.2. The rounds alternate, weft first in odd ones and NFS first in even ones, so
# that neither gains from warm or worn disks. Printed: operations per second of both (the median of
# the rounds), their ratio, the RPCs per operation of both mounts, and for each operation on weft
# how often its servers synced and how many bytes they wrote. Then weft alone does what issue 2
# has counts for: a second table shows them.
#
#	--rounds N (3)  --threads N (4)  --files N (200, each thread)  --size N (64m, each thread)
#	--results FILE  keep the JSON line of each phase
#	--stats FILE    weft's counters (debugfs weft/*/stats when there is exactly one)
#	--sample COMMAND  prints "SYNCS BYTES" of the servers (server-totals, which needs $WEFT_CONF)
#	--data DIR (/data)   the disk that both use
#	--other DIR     instead of weft: any directory without counters (to try this script out)
#	--only NAMES    parts of the work: md (metadata and small files), io, direct, counts
#	--targets       fail when a ratio is below, or a count above, what issue 2 asks for
#
# Status: 0; 1 a target was missed (--targets); 2 it could not run, which a sentence explains.
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${WEFT_BUILD:-$here/../../build}/tests/bench
rounds=3 threads=4 files=200 size=64m results= stats= sample= data=/data weft= plain= targets=
only="md io direct counts"

die() { echo "nfs-compare: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2; shift 2 ;;
	--threads) threads=$2; shift 2 ;;
	--files) files=$2; shift 2 ;;
	--size) size=$2; shift 2 ;;
	--results) results=$2; shift 2 ;;
	--stats) stats=$2; shift 2 ;;
	--sample) sample=$2; shift 2 ;;
	--data) data=$2; shift 2 ;;
	--other) weft=$2 plain=1; shift 2 ;;
	--only) only=${2//,/ }; shift 2 ;;
	--targets) targets=1; shift ;;
	-*) die "unknown option $1" ;;
	*) weft=$1; shift ;;
	esac
done
[ -n "$weft" ] || die "usage: nfs-compare.sh [options] WEFT_MOUNT (options: see the file's head)"
[ "$(id -u)" = 0 ] || die "must run as root"
for program in mdbench iobench; do
	[ -x "$bin/$program" ] || die "$bin/$program is missing (make tests)"
done

export_dir=$data/nfs-export
nfs=/run/nfs-compare
[ -n "$results" ] || results=$(mktemp)
: >"$results"

. "$here/lib/nfs.sh"
. "$here/lib/results.sh"

weft_stats() {
	local found
	[ -n "$plain$stats" ] && return
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	found=(/sys/kernel/debug/weft/*/stats)
	[ ${#found[@]} = 1 ] && [ -r "${found[0]}" ] ||
		die "expected one /sys/kernel/debug/weft/*/stats, found: ${found[*]} (use --stats)"
	stats=${found[0]}
}

weft_sample() {
	[ -n "$plain" ] && return
	[ -n "$sample" ] || sample=$here/server-totals
	sh -c "$sample" >/dev/null || die "the servers' counters cannot be read: $sample (use --sample)"
}

wanted() { [[ " $only " == *" $1 "* ]]; }

work_md() {
	"$bin/mdbench" --json --drop -t "$threads" -n "$files" "$@" &&
		"$bin/mdbench" --json --phases create,unlink,rename -t 1 -n 100 "$@" |
		sed 's/"phase":"/&alone_/'
}

work_io() { "$bin/iobench" --json --drop -t 1 -s "$size" "$@"; }
work_direct() { work_io --direct "$@" | sed 's/"phase":"/&direct_/'; }

# work LABEL DIR COUNTERS...: one round on one file system
work() {
	local label=$1 dir=$2 part
	shift 2
	for part in md io direct; do
		wanted $part || continue
		work_$part --label "$label" "$@" "$dir" >>"$results" ||
			die "the benchmark failed on $label ($dir)"
	done
}

work_weft() { work weft "$weft" ${stats:+--stats "$stats"} ${sample:+--sample "$sample"}; }
work_nfs() { work nfs $nfs --nfs $nfs; }

# What issue 2 has counts for. Their phases are enough files that what is needed once (the
# directory, the session's first slots) stays below the 0.05 that the table allows for it.
counts() {
	local args=(--json --label counts --stats "$stats" --sample "$sample")
	local mgmt
	{
		"$bin/mdbench" "${args[@]}" -t 32 -n 20 --shared --phases create "$weft" |
			sed 's/"phase":"create/&_by_32_shared/' &&
			"$bin/mdbench" "${args[@]}" -t 32 -n 20 --phases create "$weft" |
			sed 's/"phase":"create/&_by_32/' &&
			mgmt=$(sed -n 's/^addresses *= *//p' "${WEFT_CONF:-/etc/weft.conf}") &&
			"${bin%/bench}/cluster/mds_bench" -t 32 -n 20 --shared --sample "$sample" "$mgmt" |
			sed 's/"libweft"/"counts"/; s/"phase":"create/&_by_clients/' &&
			"$bin/mdbench" "${args[@]}" --drop -t 1 -n 200 --sizes 8k \
				--phases create,readdir,stat_listed,write_8k,read_8k "$weft"
	} >>"$results" || die "the benchmark failed on weft ($weft)"
}

# The table of counts: at most so many for each operation.
counts_table() {
	awk -v targets="$targets" "$results_awk"'
	function line(what, value, most, slack) {
		good = value != "" && value + 0 <= most + slack
		printf "%-56s %8s   <= %-4s %s\n", what, value, most, good ? "" : "ABOVE"
		above += !good
		lines++
	}
	field("label") != "counts" { next }
	field("phase") == "create_by_32" {
		line("syncs for a create, 32 at once in own directories", field("syncs_per_op"), 0.1, 0)
	}
	field("phase") == "create_by_clients" {
		line("syncs for a create, 32 clients in one directory", field("syncs_per_op"), 0.1, 0)
	}
	# The VFS holds the directory: one after the other, so a sync for each, and no more.
	field("phase") == "create_by_32_shared" {
		line("syncs for a create, 32 threads of a mount, one directory", field("syncs_per_op"), 1, 0.05)
	}
	field("phase") == "stat_listed" {
		line("RPCs for a stat after readdir", field("rpcs_per_op"), 0, 0.05)
	}
	field("phase") == "write_8k" {
		line("RPCs for create, write, close of 8 KiB", field("rpcs_per_op"), 2, 0.05)
	}
	field("phase") == "read_8k" {
		line("RPCs for open, read, close of 8 KiB, cold", field("rpcs_per_op"), 1, 0.05)
	}
	END { exit lines != 6 || (targets != "" && above) }' "$results"
}

# The table: medians over the rounds, in the order of the phases.
table() {
	awk -v targets="$targets" "$results_awk"'
	{
		p = field("phase"); l = field("label")
		if (l == "counts") next
		if (!(p in seen)) { seen[p] = 1; order[++phases] = p }
		rate[p, l] = rate[p, l] " " field("ops_per_s")
		mib[p, l] = mib[p, l] " " field("mib_per_s")
		rpc[p, l] = rpc[p, l] " " field("rpcs_per_op")
		syncs[p, l] = syncs[p, l] " " field("syncs_per_op")
		written[p, l] = written[p, l] " " field("written_per_op")
	}
	END {
		printf "%-18s %12s %12s %7s %10s %10s %9s %9s %10s %12s\n", "phase", "weft ops/s", "nfs ops/s",
			"ratio", "weft MiB/s", "nfs MiB/s", "weft rpcs", "nfs rpcs",
			"weft syncs", "weft written"
		want["create"] = 1.5; want["read_4k"] = 1.5; want["read_16k"] = 1.5
		want["write"] = 0.9; want["read"] = 0.9
		for (i = 1; i <= phases; i++) {
			p = order[i]
			w = median(rate[p, "weft"]); n = median(rate[p, "nfs"])
			ratio = n > 0 ? w / n : 0
			printf "%-18s %12.1f %12.1f %7.2f %10.2f %10.2f %9s %9s %10s %12s%s\n", p, w, n, ratio,
				median(mib[p, "weft"]), median(mib[p, "nfs"]), median(rpc[p, "weft"]),
				median(rpc[p, "nfs"]), median(syncs[p, "weft"]), median(written[p, "weft"]),
				(p in want) ? (ratio < want[p] ? "  BELOW " : "  >= ") want[p] : ""
			if ((p in want) && ratio < want[p]) below = 1
		}
		exit targets != "" && below ? 1 : 0
	}' "$results"
}

trap 'nfs_down "$export_dir" $nfs' EXIT
weft_stats
weft_sample
nfs_up "$export_dir"
nfs_mount $nfs
for round in $(seq "$rounds"); do
	if [ $((round % 2)) = 1 ]; then
		work_weft
		work_nfs
	else
		work_nfs
		work_weft
	fi
done
[ -n "$plain" ] || ! wanted counts || counts
echo "weft and NFSv4.2 (sync) on $data: $threads threads, $files files each, $rounds rounds, medians"
echo "(rpcs, syncs and bytes written are for one operation)"
status=0
table || status=1
[ -n "$plain" ] || ! wanted counts || { echo && echo "at most (RPCs: plus 0.05 for what is needed once)" && counts_table; } || status=1
exit $status
