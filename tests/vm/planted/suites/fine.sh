# SPDX-License-Identifier: Apache-2.0
#
# A suite without fault: it must pass among those that do not.
. "$WEFT_TOP/tests/vm/lib.sh"

check "true" true
