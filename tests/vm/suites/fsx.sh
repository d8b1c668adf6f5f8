# SPDX-License-Identifier: Apache-2.0
#
# Random operations on files, checked against a model in memory: small files that stay in the
# metadata server, files that grow out of it, large ones over several chunks; several at once.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
fsx=$WEFT_BUILD/tests/fs/fsx

require "cluster starts" weft_up
require "mount" weft_mount
program $fsx --seed 1 --max-size 16384 --ops "$(scaled 3000)" $MNT
program $fsx --seed 2 --max-size 262144 --ops "$(scaled 3000)" $MNT
program $fsx --seed 3 --max-size 8388608 --ops "$(scaled 2000)" $MNT
program $fsx --seed 4 -p 4 --max-size 3145728 --ops "$(scaled 1000)" $MNT
require "unmount" weft_umount
