# SPDX-License-Identifier: Apache-2.0
#
# Peers that cannot be trusted: between mount and servers stands tests/cluster/meddler, which changes
# versions, file system ids, maps, single bits of data, and bytes of messages. A mount is refused with
# an errno and a sentence of its own; one that is there survives, and nothing is lost.
# seconds: 900
# net: tcp its bad peer stands between TCP sockets; that of verbs is in rdma-bad
. "$WEFT_TOP/tests/vm/lib.sh"
. "$WEFT_TOP/tests/vm/traffic.sh"

said=/run/meddler
meddler=

# Management is met at port 20001, the others behind it.
pairs() {
	weft dev status --dir $WEFT_DIR -o json | grep -o '127.0.0.1:[0-9]*' |
		awk -F: '{ print 20000 + NR "=" $2 }'
}

# meddle RULE...: from now on, for each connection
meddle() {
	local rule rules=()
	for rule in "$@"; do
		rules+=(--rule "$rule")
	done
	[ -z "$meddler" ] || { kill -KILL "$meddler"; wait "$meddler" 2>/dev/null; }
	: >$said
	"$WEFT_BUILD/tests/cluster/meddler" --seed 7 "${rules[@]}" $(pairs) >$said 2>&1 &
	meddler=$!
	until_ok 10 grep -q ready $said || { cat $said; return 1; }
}
meddled() { grep -c "^$1 " $said; }

say_and_fail() {
	echo "$1"
	return 1
}

# refused RULE ERRNO WORDS: the mount is refused so, and says so
refused() {
	local said_words
	require "meddler: $1" meddle "$1"
	# On a starved machine a mount may give up before it has met what is wrong.
	for _ in 1 2 3; do
		said_words=$(weft_mount 2>&1)
		[ "$(meddled "$1")" = 0 ] || break
	done
	expect_errno "$2" say_and_fail "$said_words"
	check "$1: it says: $3" grep -q "$3" <<<"$said_words"
	check "$1: that was the reason" test "$(meddled "$1")" -gt 0
	refuse "$1: nothing is mounted" grep -q " $MNT weft " /proc/mounts
}

require "cluster starts" weft_up
WEFT_SOURCE=127.0.0.1:20001:/

refused want-version EPROTONOSUPPORT "no protocol version in common"
refused version EPROTONOSUPPORT "no protocol version in common"
refused want-fsid EXDEV "another file system"
refused fsid EXDEV "another file system"
refused map-fsid EXDEV "another file system"
refused map-bit EBADMSG "damaged cluster map"
refused map-ref EBADMSG "damaged cluster map"
refused map-short EBADMSG "damaged cluster map"
refused map-version EPROTONOSUPPORT "no protocol version in common"

meddle map-bit:2
require "every second map is damaged: the mount waits for a good one" weft_mount
check "a file" bash -c "echo hello >$MNT/hello"
require "unmount" weft_umount

dd if=/dev/urandom of=/data/source bs=1M count=8 status=none
require "bits flip on the way to the servers" meddle request-bit:3
require "mount with checksums" weft_mount $MNT checksum
for i in 1 2; do
	check "copy $i" dd if=/data/source of=$MNT/copy$i bs=256K conv=fsync status=none
done
check "bits were flipped" test "$(meddled request-bit)" -gt 2
require "bits flip on the way back" meddle reply-bit:3
for i in 1 2; do
	drop_caches
	check "copy $i is what was written" cmp /data/source $MNT/copy$i
done
check "bits were flipped" test "$(meddled reply-bit)" -gt 2
require "an honest peer" meddle
check "direct" dd if=$MNT/copy1 of=/data/direct bs=1M iflag=direct status=none
check "is what was written" cmp /data/source /data/direct
require "unmount" weft_umount

# A peer that takes every connection and hangs up at the first request is not connected all the time;
# one that hangs up now and then is connected again at once.
require "an honest peer" meddle
require "mount" weft_mount
check "the file is there" cmp /data/source $MNT/copy1
drop_caches
require "every 40th request for data is hung up on" meddle hang-up:40
pauses=$(mount_counter pauses)
check "reads" cmp <(head -c 1M /data/source) <(dd if=$MNT/copy1 bs=4K count=256 iflag=direct status=none)
check "there were such" test "$(meddled hang-up)" -ge 4
check "the connections were made again at once" test "$(mount_counter pauses)" = "$pauses"
require "every request for data is" meddle hang-up
dd if=$MNT/copy1 of=/data/direct bs=64K iflag=direct status=none &
reader=$!
sleep 20 # this is what the count is for
check "it was connected again and again" test "$(meddled hang-up)" -ge 4
check "but with pauses" test "$(meddled hang-up)" -le 60
check "which are counted" test "$(mount_counter pauses)" -gt "$pauses"
check "the log tells" sh -c "dmesg | grep -q 'breaks all connections by tcp'"
require "an honest peer" meddle
check "the reader goes on" wait $reader
check "and has what was written" cmp /data/source /data/direct
require "unmount" weft_umount

# Of nonsense in replies may come an error or a wait, never a crash, nor damage on the servers.
babble() {
	local i
	for i in $(seq 10); do
		timeout -s KILL 2 bash -c "
			mkdir $MNT/babble/$i; echo $i >$MNT/babble/$i/a; mv $MNT/babble/$i/a $MNT/babble/$i/b
			ls -l $MNT/babble; cat $MNT/babble/*/b; stat -f $MNT" >/dev/null 2>&1
	done 2>/dev/null
	return 0
}
for rule in header:6 body:6; do
	require "an honest peer" meddle
	require "mount" weft_mount
	check "a directory" mkdir -p $MNT/babble
	require "meddler: $rule" meddle $rule
	check "work among nonsense ends: $rule" babble
	check "there was nonsense" test "$(meddled "${rule%:*}")" -gt 0
	require "an honest peer" meddle
	umount -f $MNT
	refuse "unmounted" grep -q " $MNT weft " /proc/mounts
	require "mount" weft_mount
	check "what was written before is what it was" cmp /data/source $MNT/copy1
	check "names can be removed" rm -rf $MNT/babble
	require "unmount" weft_umount
done
