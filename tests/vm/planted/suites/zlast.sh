# SPDX-License-Identifier: Apache-2.0
#
# The rest runs on in a new guest.
. "$WEFT_TOP/tests/vm/lib.sh"

check "true" true
