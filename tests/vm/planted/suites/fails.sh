# SPDX-License-Identifier: Apache-2.0
#
# A test that fails.
. "$WEFT_TOP/tests/vm/lib.sh"

check "false" false
