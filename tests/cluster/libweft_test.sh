#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# libweft against a cluster of real daemons on loopback, through kill -9 of each of its servers, and when
# a data server is added.
set -eu
bin=${WEFT_BUILD:?}/bin
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/weft-libweft-XXXXXX")

cleanup() {
	status=$?
	[ ! -e "$dir/late.pid" ] || kill "$(cat "$dir/late.pid")" || true
	[ $status -eq 0 ] || tail -n 5 "$dir"/*.log || true
	"$bin/weft" dev down --dir "$dir" >/dev/null || true
	rm -rf "$dir"
	exit $status
}
trap cleanup EXIT

"$bin/weft" dev up --dir "$dir" --lease-ms 3000 >/dev/null
mgmt=$("$bin/weft" dev status --dir "$dir" | awk '$1 == "mgmt1" { print $4 }')

# Each server is killed under load and started again.
cat >"$dir/restart" <<EOF
set -e
for name in mds1 oss1 mds2 oss2 mgmt1 oss3 mds1; do
	"$bin/weft" dev kill "\$name" --dir "$dir" >/dev/null
	"$bin/weft" dev restart "\$name" --dir "$dir" >/dev/null
done
EOF

# One more data server comes, and is used for new files.
cat >"$dir/late.conf" <<EOF
[node]
name = late
listen = 127.0.0.1:0
[mgmt]
addresses = $mgmt
[target late]
path = $dir/late
EOF
cat >"$dir/extend" <<EOF
set -e
$bin/mkfs.weft -t ost --size 256M --mgmt "$mgmt" "$dir/late" >"$dir/mkfs.out" 2>&1
$bin/weft-oss --config "$dir/late.conf" 2>"$dir/late.log" &
echo \$! >"$dir/late.pid"
for i in \$(seq 100); do
	$bin/weft fs extend --mgmt "$mgmt" >"$dir/extend.out" 2>&1 && exit 0
	sleep 0.1
done
cat "$dir/extend.out"
exit 1
EOF
"$WEFT_BUILD/tests/cluster/libweft" "$mgmt" "sh $dir/restart" "sh $dir/extend"

# It has bytes of them; the pool has two generations.
for what in "target stats" "target list" "pool list"; do
	"$bin/weft" $what --mgmt "$mgmt" -o json >"$dir/${what// /_}"
done
python3 - "$dir" <<'EOF'
import json, sys
stats, targets, pools = (json.load(open(sys.argv[1] + "/" + n)) for n in ("target_stats", "target_list", "pool_list"))
late = [t["id"] for t in targets if t["node"] == "late"]
written = sum(r["value"] for r in stats if r["target"] in late and r["counter"] == "bytes_written")
assert len(late) == 1 and written > 1000000, (late, written)
assert len(pools) == 2 and len(pools[1]["groups"]) == len(pools[0]["groups"]) + 1, pools
EOF
