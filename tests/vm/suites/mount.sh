# SPDX-License-Identifier: Apache-2.0
#
# Mounting: what must work, what must be refused and how, and that nothing is lost by unmounting.
. "$WEFT_TOP/tests/vm/lib.sh"

mounted() { grep -q " $MNT weft " /proc/mounts; }
clients() { weft client list --config $WEFT_DIR/weft.conf; }
known() { clients | grep -q " connected .* $WEFT_NET "; }
# Its own address, and what it uses: management is told within moments.
until_known() { until_ok 5 known || { clients; return 1; }; }
mount_with() { mount -t weft "$WEFT_SOURCE" $MNT -o "${WEFT_OPTIONS:+$WEFT_OPTIONS,}$1"; }

require "cluster starts" weft_up
require "mount" weft_mount
check "listed in /proc/mounts" mounted
check "statfs has space" test "$(stat -f -c %b $MNT)" -gt 0
check "management knows by what it is connected" until_known
check "root is a directory" test "$(stat -c %F $MNT)" = directory
check "root belongs to root" test "$(stat -c %u:%g $MNT)" = 0:0
refuse "unmount while it is used" bash -c "cd $MNT && exec umount $MNT"

check "make a directory" mkdir $MNT/dir
check "write a small file" bash -c "echo hello >$MNT/dir/small"
check "write a large file" dd if=/dev/urandom of=$MNT/dir/large bs=1M count=9 conv=fsync status=none
sum=$(sha256sum <$MNT/dir/large)
drop_caches
check "large file after dropping caches" test "$(sha256sum <$MNT/dir/large)" = "$sum"
require "unmount" weft_umount
refuse "gone from /proc/mounts" mounted
check "nothing under the mount point" test -z "$(ls -A $MNT)"

require "mount again" weft_mount
check "small file is there" test "$(cat $MNT/dir/small)" = hello
check "large file is there" test "$(sha256sum <$MNT/dir/large)" = "$sum"
require "unmount again" weft_umount

require "mount read-only" mount_with ro
expect_errno EROFS touch $MNT/dir/new
check "reads" test "$(cat $MNT/dir/small)" = hello
require "unmount read-only" weft_umount

refuse "unknown option" mount_with no_such_option=1
refuse "still not mounted" mounted
refuse "unknown transport" mount_with net=pigeon
expect_errno ENOENT mount -t weft "${WEFT_SOURCE%/}/no-such-dir" $MNT ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
expect_errno ENOTDIR mount -t weft "${WEFT_SOURCE%/}/dir/small" $MNT ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
refuse "no management server there" mount -t weft 127.0.0.1:9:/ $MNT ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
require "mount a directory" mount -t weft "${WEFT_SOURCE%/}/dir" $MNT ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
check "its file at the top" test "$(cat $MNT/small)" = hello
require "unmount the directory" weft_umount

require "mount for umount -f" weft_mount
drop_caches
weft_kill $(weft_daemons)
killed_reader() {
	timeout -s KILL 3 cat $MNT/dir/large >/dev/null
	[ $? = 137 ]
}
check "without servers a reader waits, and can be killed" killed_reader
check "umount -f without servers" timeout 60 umount -f $MNT
refuse "gone from /proc/mounts" mounted
