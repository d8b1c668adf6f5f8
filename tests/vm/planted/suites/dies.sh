# SPDX-License-Identifier: Apache-2.0
#
# A suite that takes its guest down.
. "$WEFT_TOP/tests/vm/lib.sh"

check "true" true
echo c >/proc/sysrq-trigger
