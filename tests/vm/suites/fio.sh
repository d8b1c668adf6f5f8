# SPDX-License-Identifier: Apache-2.0
#
# fio with verification: buffered, mapped, direct; sequential and random; checked again after
# the caches are dropped.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"

# verified WHAT ENGINE DIRECT RW BS SIZE
verified() {
	local what=$1 args
	args=(--name=verify --filename="$MNT/fio" --ioengine="$2" --direct="$3" --rw="$4" --bs="$5"
		--size="$6" --verify=crc32c --verify_fatal=1 --randrepeat=1 --output=/run/fio.log)
	rm -f $MNT/fio
	check "$what: write and verify" fio "${args[@]}" --end_fsync=1
	drop_caches
	check "$what: verify again" fio "${args[@]}" --verify_only
}

size=$(($(scaled 40)))M
require "cluster starts" weft_up
require "mount" weft_mount
verified "buffered sequential" psync 0 write 128k $size
verified "buffered random" psync 0 randwrite 4k 8M
verified "buffered odd sizes" psync 0 randwrite 5000 5000000
verified "mapped random" mmap 0 randwrite 4k 8M
verified "direct sequential" libaio 1 write 1M $size
verified "direct random" libaio 1 randwrite 4k 4M
verified "io_uring" io_uring 1 randwrite 16k 8M
require "unmount" weft_umount
