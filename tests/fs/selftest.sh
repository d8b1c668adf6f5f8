#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# selftest.sh - do the file system tests notice what they must notice?
#
# Runs the programs of tests/fs and tests/bench for a moment on this machine's own file system: each
# must be content with it, and must fail when something behind its back changes a byte, adds a name
# or loses an acknowledged write. Needs no root (what does is left out, and said). A few seconds.
set -u
build=${WEFT_BUILD:-$(dirname "$0")/../../build}
fs=$build/tests/fs
bench=$build/tests/bench
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# expect STATUS WHAT COMMAND...
expect() {
	local want=$1 what=$2 status
	shift 2
	"$@" >"$dir/out" 2>&1
	status=$?
	if [ $status = "$want" ]; then
		passed=$((passed + 1))
		echo "ok      $what"
	else
		failed=$((failed + 1))
		echo "FAILED  $what: status $status instead of $want"
		tail -n 20 "$dir/out"
	fi
}

# Bytes of the file change, again and again, while fsx works on it.
scribbled() {
	local pid
	"$fs/fsx" --seconds 20 --max-size 64k --no-truncate "$dir/a" &
	pid=$!
	until [ "$(stat -c %s "$dir/a/fsx.1.0" 2>/dev/null || echo 0)" -gt 60000 ]; do
		kill -0 $pid || return 9
	done
	while kill -0 $pid 2>/dev/null; do
		printf 'scribbled' | dd of="$dir/a/fsx.1.0" bs=1 seek=30000 conv=notrunc 2>/dev/null
	done
	wait $pid
}

ack() { "$fs/ackcheck" "$@" --log "$dir/log" "$dir/b"; }
log() { printf '%s\n' "$@" >>"$dir/log/ack.0.log"; }

mkdir "$dir/a" "$dir/b" "$dir/log"
expect 0 "fsx agrees with itself" "$fs/fsx" -p 2 --ops 1000 --max-size 1m "$dir/a"
expect 1 "fsx notices a changed byte" scribbled

expect 0 "ackcheck writes" ack --write -p 2 --ops 200
expect 0 "ackcheck goes on" ack --write -p 2 --ops 200
expect 0 "ackcheck verifies" ack --verify -p 2
touch "$dir/b/ack.1/extra"
expect 1 "ackcheck notices a name that must not be" ack --verify -p 2
rm -r "$dir/b" "$dir/log"

# A log by hand. The second write of f0 is in the log and not in the file.
mkdir -p "$dir/b/ack.0" "$dir/log"
(umask 077; head -c 100 /dev/zero >"$dir/b/ack.0/f0")
log "B 1 create f0 - 0 0 384" "E 1" "B 2 write f0 - 0 100 77"
expect 0 "ackcheck settles a write in doubt" ack --write --ops 0
log "B 3 fsync f0 - 0 0 1" "E 3" "B 4 write f0 - 0 50 99" "E 4"
expect 1 "ackcheck notices a lost write" ack --verify
expect 0 "a write without fsync may be lost in a crash" ack --verify --crashed
log "B 5 fsync f0 - 0 0 1" "E 5"
expect 1 "a write with fsync may not" ack --verify --crashed

expect 0 "mdbench" "$bench/mdbench" -t 2 -n 20 --verify "$dir/a"
expect 0 "iobench" "$bench/iobench" -t 2 -s 2m --verify --shared "$dir/a"
expect 0 "mdbench --sample" "$bench/mdbench" --sample "echo 1 2" -n 5 --phases create --json "$dir/a"
expect 2 "mdbench --sample with a command that fails" \
	"$bench/mdbench" --sample "echo 1 2; false" -n 5 --phases create "$dir/a"
expect 2 "mdbench says when it cannot run" "$bench/mdbench" -n 1 "$dir/none"

if [ "$(id -u)" = 0 ]; then
	chmod 755 "$dir"
	mkdir "$dir/t" "$dir/r"
	expect 0 "treestress agrees with itself" \
		"$fs/treestress" --ops 2000 --shared 2 --keep "$dir/t" "$dir/r"
	expect 0 "treestress compares" "$fs/treestress" --compare "$dir/t/treestress.1.0" \
		"$dir/r/treestress.1.0"
	mkdir "$dir/r/treestress.1.0/r/extra"
	expect 1 "treestress notices an extra name" "$fs/treestress" --compare \
		"$dir/t/treestress.1.0" "$dir/r/treestress.1.0"
	expect 0 "posix, its smaller groups" "$fs/posix" -r 'xattr_*' -r 'rename*' "$dir/a"
else
	echo "left out, not root: treestress, posix"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
