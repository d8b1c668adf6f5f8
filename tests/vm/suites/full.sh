# SPDX-License-Identifier: Apache-2.0
#
# Full data servers: whoever writes gets ENOSPC from write, fsync or close (buffered), from write
# (direct), from fallocate; other files stay as they are, small ones and names can still be made, and
# what is removed makes room again.
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"

free_mib() { echo $(($(stat -f -c '%f * %S / 1048576' $MNT))); }

# free_is -ge|-le MIB
free_is() { [ "$(free_mib)" "$1" "$2" ]; }

# Within half a minute that much is free again; removal goes on in the background.
has_free() { until_ok 30 free_is -ge "$1" || { echo "$(free_mib) MiB are free"; return 1; }; }

# df knows it when the servers have told, which they do every second.
has_at_most() { until_ok 10 free_is -le "$1" || { echo "$(free_mib) MiB are free"; return 1; }; }

require "cluster with two small data servers" weft_up 1 2 --ost-size 96M
require "mount" weft_mount
check "df shows what there is: $(free_mib) MiB" test "$(free_mib)" -gt 100
empty=$(free_mib)
dd if=/dev/urandom of=/data/source bs=1M count=24 status=none
check "a file before" cp /data/source $MNT/before
check "a small one" bash -c "echo small >$MNT/small"
sync

expect_errno ENOSPC dd if=/dev/zero of=$MNT/big bs=1M count=300 conv=fsync status=none
check "not much is free" has_at_most $((empty / 4))
expect_errno ENOSPC dd if=/dev/zero of=$MNT/direct bs=1M count=300 oflag=direct status=none
expect_errno ENOSPC dd if=/dev/zero of=$MNT/sync bs=1M count=300 oflag=sync status=none
late() { dd if=/dev/zero of=$MNT/late bs=64K count=4000 status=none && sync $MNT/late; }
expect_errno ENOSPC late
check "the server tells once only: fsync again is quiet" sync $MNT/big
drop_caches
check "the file before is what it was" cmp /data/source $MNT/before
check "so is the small one" test "$(cat $MNT/small)" = small
check "a new name" mkdir $MNT/dir
check "a new small file" bash -c "echo new >$MNT/dir/new && sync $MNT/dir/new"
check "the full disk is readable: all that was written are zeros" cmp -n "$(stat -c %s $MNT/direct)" \
	$MNT/direct /dev/zero
overwritten() {
	local said
	said=$(dd if=/data/source of=$MNT/before bs=1M conv=notrunc,fsync status=none 2>&1) ||
		grep "No space left" <<<"$said"
}
check "overwriting works or gives ENOSPC" overwritten
check "unmount of a full file system" weft_umount
require "mount again" weft_mount
check "the small files are there" test "$(cat $MNT/small $MNT/dir/new)" = "small
new"
check "remove" rm -f $MNT/big $MNT/direct $MNT/sync $MNT/late $MNT/before
check "space comes back" has_free $((empty - 8))
check "a file afterwards" dd if=/data/source of=$MNT/after bs=1M conv=fsync status=none
drop_caches
check "is what was written" cmp /data/source $MNT/after

fill() { dd if=/dev/zero of=$MNT/fill$1 bs=1M count=300 conv=fsync status=none; }
expect_errno ENOSPC fill 1
check "truncate makes room" truncate -s 0 $MNT/fill1
check "space comes back" has_free $((empty - 40))
expect_errno ENOSPC fill 2
check "kill -9 of the full servers" weft_kill oss1 oss2
check "they start again" weft_start oss1 oss2
drop_caches
check "the other file is what it was" cmp /data/source $MNT/after
check "remove" rm $MNT/fill2
check "space comes back" has_free $((empty - 40))
check "a file afterwards" dd if=/data/source of=$MNT/after2 bs=1M conv=fsync status=none
drop_caches
check "is what was written" cmp /data/source $MNT/after2
require "unmount" weft_umount
