# SPDX-License-Identifier: Apache-2.0
#
# stress-ng's file system stressors, each for a few seconds.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"

require "cluster starts" weft_up
require "mount" weft_mount
mkdir $MNT/stress
for stressor in access chattr chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl \
	fiemap file-ioctl filename flock fpunch fstat hdd inotify io iomix lease link locka lockf \
	lockmix lockofd mmap-addr null open punch-hole readahead rename sendfile splice \
	symlink sync-file touch unlink utime verity xattr; do
	stress-ng --stressors 2>/dev/null | grep -qw "$stressor" || continue
	check "$stressor" stress-ng --temp-path $MNT/stress --$stressor 2 --timeout 3s \
		--"$stressor"-ops 300 --quiet
done
check "nothing left" test -z "$(ls -A $MNT/stress)"
require "unmount" weft_umount
