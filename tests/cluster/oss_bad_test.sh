#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# weft-oss is given what it must refuse: wrong configurations, targets that are damaged, foreign, of
# another kind, in use, or without their RocksDB. Each ends it with the right status and a line that
# names the thing, and changes nothing on the disk.
set -u
build=${WEFT_BUILD:?}
oss=$build/bin/weft-oss
mkfs=$build/bin/mkfs.weft
dir=$(mktemp -d /var/tmp/weft-oss-bad-XXXXXX)
passed=0 failed=0 pid=
end() {
	[ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	rm -rf "$dir"
}
trap end EXIT
fsid=11111111-2222-3333-4444-555555555555
other=99999999-2222-3333-4444-555555555555

# conf FILE TARGET...: a configuration; management is a port where nobody listens
conf() {
	local file=$1 i=0
	shift
	printf '[node]\nname = oss1\nlisten = 127.0.0.1:0\n[mgmt]\naddresses = 127.0.0.1:1\n' >"$file"
	for target in "$@"; do
		i=$((i + 1))
		printf '[target t%d]\npath = %s\n' $i "$target" >>"$file"
	done
}

# The RocksDB of a good target may be opened before the bad one is seen; that is no damage.
sums() {
	find "$dir" -type f ! -name '*.log' ! -name 'LOG*' ! -path '*/good/db/*' -printf '%p %s %T@\n' |
		sort
}

# refused NAME STATUS TEXT CONF: it ends with STATUS, says TEXT, and leaves all files as they were
refused() {
	local before after status
	before=$(sums)
	timeout 30 "$oss" --config "$4" >"$dir/out.log" 2>&1
	status=$?
	after=$(sums)
	if [ $status = "$2" ] && grep -q -- "$3" "$dir/out.log" && [ "$before" = "$after" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "FAILED: $1: status $status, expected $2 and \"$3\""
	[ "$before" = "$after" ] || echo "    files were changed"
	sed 's/^/    | /' "$dir/out.log"
}

format() {
	"$mkfs" --type "$1" --fsid "$2" ${4:+--size "$4"} "$3" >/dev/null || { echo "0 passed, 1 failed"; exit 1; }
}

format ost $fsid "$dir/good" 64M
format ost $other "$dir/foreign" 64M
format mdt $fsid "$dir/mdt"

# A first run makes the RocksDB; it has no management and is ended by SIGTERM.
conf "$dir/good.conf" "$dir/good"
"$oss" --config "$dir/good.conf" >"$dir/run.log" 2>&1 &
pid=$!
for _ in $(seq 200); do
	grep -q running "$dir/run.log" && break
	read -rt 0.1 <> <(:)
done
refused "target in use" 3 "in use" "$dir/good.conf"
kill -TERM $pid
wait $pid
status=$?
pid=
if [ $status = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: SIGTERM: status $status"; fi

printf '[node]\nname = x\n' >"$dir/c1.conf"
refused "missing key" 2 listen "$dir/c1.conf"
conf "$dir/c2.conf" "$dir/good"
echo 'colour = blue' >>"$dir/c2.conf"
refused "unknown key" 2 colour "$dir/c2.conf"
conf "$dir/c3.conf"
refused "no target" 2 target "$dir/c3.conf"
refused "no file" 2 nowhere.conf "$dir/nowhere.conf"

conf "$dir/c4.conf" "$dir/good" "$dir/foreign"
refused "two file systems" 3 "$dir/foreign" "$dir/c4.conf"
conf "$dir/c5.conf" "$dir/mdt"
refused "metadata target" 3 "$dir/mdt" "$dir/c5.conf"
mkdir "$dir/empty"
conf "$dir/c6.conf" "$dir/empty"
refused "not formatted" 3 "$dir/empty" "$dir/c6.conf"

copy() { cp -a --sparse=always "$dir/good" "$dir/$1"; conf "$dir/$1.conf" "$dir/$1"; }
copy super
printf x | dd of="$dir/super/superblock" bs=1 seek=200 conv=notrunc status=none
refused "damaged superblock" 3 "$dir/super" "$dir/super.conf"
copy nodb
rm -r "$dir/nodb/db"
refused "RocksDB gone" 3 "$dir/nodb/db" "$dir/nodb.conf"
copy short
truncate -s 10M "$dir/short/data"
refused "data file too short" 3 "$dir/short/data" "$dir/short.conf"
copy swap
cp "$dir/foreign/data" "$dir/swap/data"
refused "data file of another target" 3 "$dir/swap" "$dir/swap.conf"
copy current
echo nonsense >"$dir/current/db/CURRENT"
refused "damaged RocksDB" 3 "$dir/current/db" "$dir/current.conf"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
