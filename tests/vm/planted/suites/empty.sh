# SPDX-License-Identifier: Apache-2.0
#
# A suite that tests nothing must not count as a success.
. "$WEFT_TOP/tests/vm/lib.sh"
