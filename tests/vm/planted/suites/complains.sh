# SPDX-License-Identifier: Apache-2.0
#
# The tests pass, the kernel complains.
. "$WEFT_TOP/tests/vm/lib.sh"

check "true" true
echo "WARNING: planted" >/dev/kmsg
