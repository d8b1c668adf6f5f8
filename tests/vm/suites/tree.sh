# SPDX-License-Identifier: Apache-2.0
#
# Random operations on trees, on the mount and on ext4 at once: same results, same trees, and the
# same again after a remount.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
stress=$WEFT_BUILD/tests/fs/treestress
reference=/data/reference

mkdir -p $reference
require "cluster starts" weft_up
require "mount" weft_mount
mkdir $MNT/one $reference/one
program $stress --seed 1 --ops "$(scaled 4000)" --keep $MNT/one $reference/one
program $stress --seed 2 -p 2 --shared 2 --ops "$(scaled 2000)" $MNT $reference
require "unmount" weft_umount
require "mount again" weft_mount
program $stress --compare $MNT/one $reference/one
require "unmount again" weft_umount
rm -rf $reference
