# SPDX-License-Identifier: Apache-2.0
#
# The module alone: it loads, registers the file system type, goes without a trace, ten times.
. "$WEFT_TOP/tests/vm/lib.sh"

registered() { grep -qw weft /proc/filesystems; }

refuse "not registered before" registered
for round in 1 2 3 4 5 6 7 8 9 10; do
	require "load $round" weft_module
	check "registered $round" registered
	expect_errno EEXIST insmod "$WEFT_KMOD/weft.ko"
	require "unload $round" weft_module_remove
	refuse "gone $round" registered
done
check "says what it is" grep -q GPL <(modinfo -F license "$WEFT_KMOD/weft.ko")
