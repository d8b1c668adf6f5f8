# SPDX-License-Identifier: Apache-2.0
#
# Small files that move to chunks while another mount writes them, and files that grow with data
# that no server has been told of: no byte may be lost, none may come back.
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"
other=/weft2

bytes() { head -c "$1" /dev/zero | tr '\0' "$2"; }

# content FILE: the first mount's file, as the servers have it, is /run/want
content() { drop_caches; cmp "$1" /run/want; }

# Bytes that are only in this mount's memory, or on data servers without COMMIT, survive growth.
grows() {
	bytes 300000 x >/run/want
	dd if=/run/want of=$MNT/grow bs=300000 status=none &&
		truncate -s 5000000 $MNT/grow && truncate -s 5000000 /run/want && content $MNT/grow
}

grows_by_fallocate() {
	bytes 300000 y >/run/want
	dd if=/run/want of=$MNT/alloc bs=300000 status=none &&
		fallocate -l 5000000 $MNT/alloc && truncate -s 5000000 /run/want &&
		content $MNT/alloc && [ "$(stat -c %b $MNT/alloc)" -ge 9765 ]
}

shrinks_and_grows() {
	bytes 200000 z >/run/want
	dd if=/run/want of=$MNT/shrink bs=200000 status=none && truncate -s 100 $MNT/shrink &&
		truncate -s 200000 $MNT/shrink &&
		truncate -s 100 /run/want && truncate -s 200000 /run/want && content $MNT/shrink
}

# operations NAME: how often this mount has asked for it
operations() {
	awk -v op="$1" '$1 == "op" && $2 == op { n = $4 } END { print n + 0 }' \
		/sys/kernel/debug/weft/*/stats
}

# Where four files in a row became large the fifth is made in chunks; a small one ends that.
learns() {
	local n before
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	mkdir $MNT/learn && bytes 100000 l >/run/want || return
	before=$(operations SPILL)
	for n in 1 2 3 4 5 6; do
		dd if=/run/want of=$MNT/learn/$n bs=100000 status=none || return
	done
	[ $(($(operations SPILL) - before)) = 4 ] || return
	for n in 1 2 3 4 5 6; do
		content $MNT/learn/$n || return
	done
	# Expected to be large, and small.
	bytes 1000 s >/run/want && dd if=/run/want of=$MNT/learn/small bs=1000 status=none &&
		content $MNT/learn/small || return
	before=$(operations WRITE_INLINE)
	dd if=/run/want of=$MNT/learn/inline bs=1000 status=none && content $MNT/learn/inline &&
		[ $(($(operations WRITE_INLINE) - before)) = 1 ]
}

# One mount makes the file large while the other changes one byte of its small part.
race() {
	local n
	for n in $(seq "$(scaled 60)"); do
		bytes 8192 a >$MNT/f && sync -f $MNT/f || return
		bytes 65536 A | dd of=$MNT/f bs=65536 iflag=fullblock seek=8192 oflag=seek_bytes \
			conv=notrunc,fsync status=none &
		printf b | dd of=$other/f bs=1 seek=$((n * 97)) conv=notrunc,fsync status=none || return
		wait $! || return
		{ bytes 8192 a; bytes 65536 A; } >/run/want
		printf b | dd of=/run/want bs=1 seek=$((n * 97)) conv=notrunc status=none
		content $MNT/f || { echo "round $n"; return 1; }
		content $other/f || { echo "round $n, the other mount"; return 1; }
	done
}

require "cluster starts" weft_up 1 2
require "mount" weft_mount
check "a file grows with data that was not committed" grows
check "fallocate behind data that was not committed" grows_by_fallocate
check "what was cut does not come back" shrinks_and_grows
check "large files are made in chunks where files are large" learns
require "second mount" weft_mount $other
check "a file grows, with two mounts" grows
check "fallocate, with two mounts" grows_by_fallocate
check "what was cut does not come back, with two mounts" shrinks_and_grows
check "a small file is moved and written at once" race
require "unmount" weft_umount $other
require "unmount" weft_umount
