# SPDX-License-Identifier: Apache-2.0
#
# The module's lower half: broken connections, lost replies, slow servers, two mounts and the lease
# between them, checksums, and what debugfs tells about all that. Faults come from the mount's own
# inject_* files, so that every recovery path is walked for certain.
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"

debug=/sys/kernel/debug/weft
# The newest mount's folder.
folder() { find $debug -mindepth 1 -maxdepth 1 | sort -V | tail -n 1; }
inject() { echo "$2" >"$(folder)/inject_$1"; }
counter() { awk -v name="$1" '$1 == name { print $2 }' "$(folder)/stats"; }
# Errors of an operation; an operation that was not used has none.
errors_of() { awk -v op="$1" '$1 == "op" && $2 == op { n = $6 } END { print n + 0 }' "$(folder)/stats"; }
mount_at() { mkdir -p "$1" && weft_mount "$@"; }

# mkdir, create, write, rename, unlink: each exactly once, or one of them fails.
names() {
	local i dir=$1
	for i in $(seq "$2"); do
		mkdir "$dir/d$i" && echo "$i" >"$dir/d$i/a" && mv "$dir/d$i/a" "$dir/d$i/b" || return 1
		ln "$dir/d$i/b" "$dir/d$i/c" && rm "$dir/d$i/b" || return 1
		[ "$(cat "$dir/d$i/c")" = "$i" ] || return 1
	done
}
bulk() { dd if=/data/source of="$1" bs=1M conv=fsync status=none && cmp /data/source "$1"; }

require "cluster starts" weft_up
require "mount" weft_mount
dd if=/dev/urandom of=/data/source bs=1M count=8 status=none

check "stats name the client" test "$(counter client_id)" -gt 0
check "one session or more" test "$(counter sessions)" -ge 1
check "the map has an epoch" test "$(counter map_epoch)" -ge 1

rounds=$(scaled 30)
mkdir $MNT/broken $MNT/lost $MNT/slow
inject disconnect 7
check "names while every 7th request breaks its connection" names $MNT/broken "$rounds"
check "data while every 7th request breaks its connection" bulk $MNT/broken/bulk
inject disconnect 3
check "many requests at once while every 3rd breaks its connection" timeout -s KILL 150 fio --name=many \
	--filename=$MNT/broken/many --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=16k \
	--size=512k --verify=crc32c --verify_fatal=1 --do_verify=1 --output=/run/fio.log
inject disconnect 0
check "reconnects were counted" test "$(counter reconnects)" -gt 0
check "replays were counted" test "$(counter replays)" -gt 0

before=$(counter replays)
names_lost() {
	local i
	for i in $(seq "$rounds"); do
		inject drop_n 1
		mkdir $MNT/lost/$i && names $MNT/lost/$i 1 || return 1
	done
}
check "names while replies are lost" names_lost
check "lost replies were asked for again" test "$(counter replays)" -gt "$before"
for op in CREATE OPEN RENAME LINK UNLINK WRITE_INLINE; do
	check "no $op failed" test "$(errors_of $op)" = 0
done

inject delay_ms 300
stat $MNT/slow/none 2>/dev/null &
ls -f $MNT/slow >/dev/null &
touch $MNT/slow/file &
outstanding=
for i in $(seq 100); do
	outstanding=$(grep -h 'waits reply' "$(folder)/outstanding") && break
done
check "outstanding requests are shown with what they wait for" test -n "$outstanding"
wait
inject delay_ms 0

trace=/sys/kernel/tracing
[ -e $trace/trace ] || mount -t tracefs tracefs $trace
echo 1 >$trace/events/weft/enable
inject disconnect 5
check "names under tracing" names $MNT/slow 3
inject disconnect 0
echo 0 >$trace/events/weft/enable
for event in rpc_send rpc_end link_down link_up; do
	check "event weft_$event" grep -q "weft_$event: fs=[0-9]" $trace/trace
done
rm -rf $MNT/slow && mkdir $MNT/slow

second=/run/weft-second
check "second mount" mount_at $second
check "the first one's file is there" test "$(cat $second/broken/d1/c)" = 1
echo changed >$MNT/broken/d1/c
check "a closed file's new content" test "$(cat $second/broken/d1/c)" = changed
check "a name made at the first" bash -c "mkdir $MNT/new && test -d $second/new"
check "a name removed at the second" bash -c "rmdir $second/new && test ! -e $MNT/new"
exec 5<$MNT/broken/d1/c
check "remove a file that the other has open" rm $second/broken/d1/c
check "it can still be read there" test "$(cat <&5)" = changed
exec 5<&-
check "names from both" bash -c "mkdir $second/x && touch $MNT/x/1 $second/x/2 && [ \$(ls $MNT/x | wc -l) = 2 ]"
check "unmount the second" weft_umount $second
check "the first goes on" names $MNT/slow 2
require "unmount" weft_umount

require "mount with checksums" weft_mount $MNT checksum
check "bulk with checksums" bulk $MNT/summed
drop_caches
check "read again with checksums" cmp /data/source $MNT/summed
require "unmount again" weft_umount

require "mount, the first management address dead" \
	mount -t weft "127.0.0.1:9,$WEFT_SOURCE" $MNT ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
check "works" cmp /data/source $MNT/summed
