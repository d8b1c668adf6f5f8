#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# weft-mds refuses what it cannot serve: each time a line in the log that names the thing, and the
# exit status that its manual promises (2 configuration, 3 target).
set -u
bin=${WEFT_BUILD:?}/bin
dir=$(mktemp -d "${TMPDIR:-/tmp}/weft-mds-bad-XXXXXX")
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
fsid=11111111-2222-3333-4444-555555555555
other=99999999-2222-3333-4444-555555555555

# refused NAME STATUS WORDS: the daemon with $dir/conf ends with STATUS and says WORDS.
refused() {
	timeout 20 "$bin/weft-mds" --config "$dir/conf" >"$dir/log" 2>&1
	local status=$?
	if [ $status = "$2" ] && grep -q -- "$3" "$dir/log"; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "FAILED $1: status $status (expected $2), or no word of \"$3\":"
	cat "$dir/log"
}

conf() {
	{
		printf '[node]\nname = m\nlisten = 127.0.0.1:0\n%s\n' "${EXTRA:-}"
		printf '[mgmt]\naddresses = 127.0.0.1:1\n'
		for target in "$@"; do
			printf '[target %s]\npath = %s\n' "${target##*/}" "$target"
		done
	} >"$dir/conf"
}

format() { "$bin/mkfs.weft" --type "$1" --fsid "$2" "$3" >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }; }

# Let it make its store, then end it cleanly.
start_once() {
	conf "$1"
	"$bin/weft-mds" --config "$dir/conf" >"$dir/log" 2>&1 &
	local pid=$! i
	for i in $(seq 200); do
		grep -q running "$dir/log" && break
		sleep 0.02
	done
	kill -TERM $pid
	wait $pid
	local status=$?
	[ $status = 0 ] || { echo "FAILED: SIGTERM ended it with $status"; cat "$dir/log"; failed=$((failed + 1)); }
	[ $status = 0 ] && passed=$((passed + 1))
}

rm -f "$dir/conf"
refused "no configuration" 2 "$dir/conf"
EXTRA="colour = red" conf "$dir/a"
refused "an unknown key" 2 colour
conf
refused "no target" 2 "no section"
conf "$dir/a"
refused "no directory" 3 "$dir/a"
mkdir "$dir/a"
refused "not formatted" 3 "$dir/a"
rmdir "$dir/a"
format mgmt $fsid "$dir/g"
conf "$dir/g"
refused "another kind of target" 3 "$dir/g"
format mdt $fsid "$dir/a"
format mdt $other "$dir/b"
conf "$dir/a" "$dir/b"
refused "targets of two file systems" 3 "$dir/b"
start_once "$dir/a"
cp -r "$dir/a/db" "$dir/keep"
printf garbage | dd of="$(ls "$dir"/a/db/MANIFEST*)" conv=notrunc status=none
refused "a corrupt store" 3 "$dir/a"
rm -rf "$dir/a/db"
refused "a store that vanished" 3 "$dir/a"
format mdt $fsid "$dir/c"
start_once "$dir/c"
rm -rf "$dir/c/db"
cp -r "$dir/keep" "$dir/c/db"
conf "$dir/c"
refused "the store of another target" 3 "another target"
dd if=/dev/zero of="$dir/c/superblock" bs=1 seek=100 count=8 conv=notrunc status=none
printf X | dd of="$dir/c/superblock" bs=1 seek=60 conv=notrunc status=none
refused "a damaged superblock" 3 "$dir/c"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
