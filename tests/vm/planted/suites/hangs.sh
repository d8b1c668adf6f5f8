# SPDX-License-Identifier: Apache-2.0
#
# A suite that does not end.
# seconds: 3
. "$WEFT_TOP/tests/vm/lib.sh"

check "true" true
sleep 1000
