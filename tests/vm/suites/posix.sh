# SPDX-License-Identifier: Apache-2.0
#
# POSIX conformance on the mount: every case of tests/fs/posix.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"

require "cluster starts" weft_up
require "mount" weft_mount
program "$WEFT_BUILD/tests/fs/posix" $MNT
require "unmount" weft_umount
