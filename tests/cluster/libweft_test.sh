#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# libweft against a cluster of real daemons on loopback, and through kill -9 of each of its servers.
set -eu
bin=${WEFT_BUILD:?}/bin
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/weft-libweft-XXXXXX")

cleanup() {
	status=$?
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
"$WEFT_BUILD/tests/cluster/libweft" "$mgmt" "sh $dir/restart"
