#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tools against real daemons on loopback: what they print, what they refuse, how they end.
# Each check names itself when it fails; the last line is `N passed, N failed`.
set -u
build=${WEFT_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
PATH=$build/bin:$PATH
top=$(mktemp -d /tmp/weft-tools-XXXXXX)
cd "$top" || exit 2
unset WEFT_CONF WEFT_DEV WEFT_FAULTS
passed=0 failed=0

cleanup() {
	weft dev down --dir "$top/dev" >/dev/null 2>&1
	[ $failed = 0 ] && rm -rf "$top" || echo "left in $top"
}
trap cleanup EXIT

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; sed 's/^/    | /' "$top/out"; }

# status STATUS COMMAND...: it must end with this status; its output is in $top/out
status() {
	local want=$1 got
	shift
	timeout 60 "$@" >"$top/out" 2>&1
	got=$?
	if [ $got = "$want" ]; then ok; else bad "status $got instead of $want: $*"; fi
}

# says TEXT: the last command said it
says() {
	if grep -qF -- "$1" "$top/out"; then ok; else bad "it does not say: $1"; fi
}

# json EXPRESSION: the last command printed JSON of which a python expression over x is true
json() {
	if python3 -c 'import json, sys
x = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$top/out" "$1" 2>/dev/null; then ok; else bad "not true: $1"; fi
}

# config NAME PORT TARGET MGMT [MORE]: a daemon's configuration
config() {
	printf '[node]\nname = %s\nlisten = 127.0.0.1:%s\n[mgmt]\naddresses = %s\n[target %s]\npath = %s\n%b' \
		"$1" "$2" "$4" "$1" "$3" "${5:-}" >"$1.conf"
}

# --- command lines

status 0 weft --help; says "weft dev up"; says "Exit status"
status 2 weft; says "usage"
status 2 weft nonsense; says 'no command "nonsense"'
status 2 weft node; says "node what?"
status 2 weft status --nonsense
status 2 weft status extra; says 'what is "extra"'
status 2 weft status -o xml; says "table or json"
for command in "status" "df" "node list" "target list" "target stats" "group list" "pool list" "client list" \
	"fs create" "layout get" "layout set" "why" "dev up" "dev down" "dev status" "dev kill" "dev restart"; do
	status 0 weft $command --help; says "usage: weft $command"
done
status 0 mkfs.weft --help; says "usage: mkfs.weft"
status 0 mount.weft -h; says "secretfile"
status 2 weft status; says "where is management"
status 2 weft status --config "$top/absent.conf"; says "absent.conf"
printf '[mgmt]\nadresses = x\n' >typo.conf
status 2 weft status --config typo.conf; says "typo.conf"; says "adresses"
status 2 weft status --mgmt ''
status 4 weft status --mgmt 127.0.0.1:1 --timeout 500; says "127.0.0.1:1"

# --- mkfs.weft

status 2 mkfs.weft dir; says "--type"
status 2 mkfs.weft -t disk dir; says "mgmt, mdt or ost"
status 2 mkfs.weft -t mdt; says "directory"
status 2 mkfs.weft -t mdt dir; says "which file system"
status 2 mkfs.weft -t mdt --fsid 123 dir; says "UUID"
status 2 mkfs.weft -t mdt --size 1G --fsid 01234567-89ab-cdef-0123-456789abcdef dir
status 4 mkfs.weft -t mdt --mgmt 127.0.0.1:1 dir; says "127.0.0.1:1"
[ ! -e dir ] && ok || bad "a refused mkfs made the directory"
status 0 mkfs.weft -t mgmt --fs-name one --dry-run m1; says "dry run"
[ ! -e m1 ] && ok || bad "a dry run made the directory"
status 0 mkfs.weft -t mgmt --fs-name one -o json m1
json 'x["type"] == "mgmt" and x["fs_name"] == "one" and len(x["uuid"]) == 36'
fsid=$(sed -n 's/.*"fsid": "\(.*\)".*/\1/p' out)
status 3 mkfs.weft -t mgmt m1; says "--reformat"
status 0 mkfs.weft -t mgmt --fsid "$fsid" --fs-name one --reformat m1
mkdir full && touch full/precious
status 3 mkfs.weft -t ost --fsid "$fsid" --size 64M --reformat full; says "not empty"
[ -e full/precious ] && ok || bad "somebody's file is gone"
status 1 mkfs.weft -t ost --fsid "$fsid" --size 1M small; says "needs 64 MiB"
# a device is remembered by the name that was given, not by what that points to today
mkdir by-id && truncate -s 128M disk1 && ln -s ../disk1 by-id/one
status 0 mkfs.weft -t ost --fsid "$fsid" --fs-name one --device by-id/one byid
grep -qaF "$top/by-id/one" byid/superblock && ok || bad "the name of the device is another one"
grep -qaF "$top/disk1" byid/superblock && bad "the link was followed" || ok
status 2 mkfs.weft -t ost --fsid "$fsid" --device by-id/none none; says "No such file"

# --- what the daemons refuse about their targets and configurations

status 0 mkfs.weft -t mdt --fsid "$fsid" --fs-name one mdt
status 0 mkfs.weft -t ost --fsid "$fsid" --fs-name one --size 64M ost
config wrong1 7001 "$top/mdt" 127.0.0.1:1
status 3 weft-mgmt --config wrong1.conf; says "type mdt, type mgmt is needed"
config wrong2 7001 "$top/none" 127.0.0.1:1
status 3 weft-mgmt --config wrong2.conf; says "not a weft target"
cp -r m1 damaged && printf 'xxxx' | dd of=damaged/superblock bs=1 seek=200 conv=notrunc 2>/dev/null
config wrong3 7001 "$top/damaged" 127.0.0.1:1
status 3 weft-mgmt --config wrong3.conf; says "superblock is damaged"
config wrong4 7001 "$top/m1" 127.0.0.1:1 '[log]\ncolour = red\n'
status 2 weft-mgmt --config wrong4.conf; says "colour"
config wrong5 7001 "$top/m1" 127.0.0.1:1 '[auth]\nsecretfile = secret\n'
printf 'short' >secret && chmod 600 secret
status 2 weft-mgmt --config wrong5.conf; says "16 to 256 bytes"
printf '0123456789abcdef0123' >secret && chmod 644 secret
status 2 weft-mgmt --config wrong5.conf; says "chmod 600"
for lease in 999 600001; do
	config wrong6 7001 "$top/mdt" 127.0.0.1:1
	sed -i "s/^\[mgmt\]/lease_ms = $lease\n&/" wrong6.conf
	status 2 weft-mds --config wrong6.conf; says "lease_ms must be 1000 to 600000"
done
for expire in 29999 86400001; do
	config wrong6 7001 "$top/mdt" 127.0.0.1:1
	sed -i "s/^\[mgmt\]/session_expire_ms = $expire\n&/" wrong6.conf
	status 2 weft-mds --config wrong6.conf; says "session_expire_ms must be two leases to 86400000"
done
config wrong7 1 "$top/m1" 127.0.0.1:1
sed -i 's/127.0.0.1:1$/192.0.2.1:1/; s/^addresses.*/addresses = 127.0.0.1:1/' wrong7.conf
status 1 weft-mgmt --config wrong7.conf; says "cannot listen"
status 2 weft-mgmt --config absent.conf; says "absent.conf"
status 2 weft-mgmt

# --- a cluster

status 1 weft dev status --dir dev; says "no cluster there"
status 1 weft dev up --dir full; says "something else"
status 0 weft dev up --dir dev --mds 2 --oss 2 --ost-size 128M --secret; says "mount -t weft"
export WEFT_CONF=$top/dev/weft.conf
mgmt=$(sed -n 's/^addresses = //p' "$WEFT_CONF")
status 0 weft status; says "ok"
status 0 weft status -o json; json 'x["active"] and x["nodes_up"] == 4 and x["shards"] == 4096'
status 0 weft node list -o json; json 'len(x) == 4 and all(n["state"] == "up" for n in x)'
status 0 weft target list -o json
json 'sorted(t["type"] for t in x) == ["mdt", "mdt", "ost", "ost"] and all("group" in t for t in x)'
ids=$(python3 -c 'import json; print(*(t["id"] for t in json.load(open("out"))))')
read -r id1 id2 _ <<<"$ids"
status 0 weft target stats; says "COUNTER"; says "kv_syncs"; says "OBJ_WRITE.calls"
status 0 weft target stats -o json
json 'sorted({(r["target"], r["type"]) for r in x}) == sorted({(r["target"], r["type"]) for r in x
	if r["counter"] == "kv_syncs"}) and len({r["target"] for r in x}) == 4'
json '{"ops", "commits", "data_syncs", "data_bytes", "kv_syncs", "kv_bytes"} <= {r["counter"] for r in x
	if r["type"] == "ost"}'
json '{"ops_write", "batches", "kv_syncs", "kv_bytes"} <= {r["counter"] for r in x if r["type"] == "mdt"}'
json 'sum(r["value"] for r in x if r["type"] == "mdt" and r["counter"] == "kv_syncs") > 0'
json 'sum(r["value"] for r in x if r["type"] == "mdt" and r["counter"] == "kv_bytes") > 0'
status 0 weft target stats $id1 $id2 $id1 -o json
json '[*{r["target"]: 0 for r in x}] == ['$id1', '$id2']'
json 'len([r for r in x if r["counter"] == "kv_syncs"]) == 2'
status 1 weft target stats 4711; says "no target 4711"
status 2 weft target stats one; says "no target id"
status 0 weft group list -o json; json 'sum(g.get("shards", 0) for g in x) == 4096'
status 0 weft pool list -o json; json 'len(x) == 1 and len(x[0]["groups"]) == 2'
status 0 weft df; says "default"
status 0 weft client list -o json; json 'x == []'
status 1 weft fs create; says "laid out already"
status 0 weft dev status --dir dev -o json; json 'len(x) == 5 and all(d["running"] for d in x)'
status 0 weft dev up --dir dev
status 2 weft dev up --dir dev --mds 1; says "already"
status 1 weft layout get "$top"; says "not in a weft file system"

# the secret is needed, and the right one
status 1 weft status --mgmt "$mgmt" --config /dev/null
printf 'another secret of 16 bytes' >other && chmod 600 other
printf '[mgmt]\naddresses = %s\n[auth]\nsecretfile = %s/other\n' "$mgmt" "$top" >other.conf
status 1 weft status --config other.conf

# servers of another file system, and servers that do not fit, do not get in
config alien 7003 "$top/ost" "$mgmt" "[auth]\nsecretfile = $top/dev/secret\n"
timeout 30 weft-oss --config alien.conf >out 2>&1
[ $? != 0 ] && ok || bad "a server of another file system was accepted"
status 4 mkfs.weft -t mdt --fs-name other --mgmt "$mgmt" mdt9; says '"dev", not "other"'
status 0 mkfs.weft -t ost --size 64M ost9; says "dev"

# what a mount waits for: debugfs as the kernel client shows it
target=$(weft target list -o json | python3 -c 'import json, sys
print([t["id"] for t in json.load(sys.stdin) if t["node"] == "oss1"][0])')
mkdir -p debug/1
cat >debug/1/outstanding <<D
OBJ_READ ino $(stat -c %i typo.conf | xargs printf '%x') group 3 target $target waits reply ms 1500 pid $$ replays 2
LOOKUP ino 1 group 1 target 0 waits map ms 20 pid 1 replays 0 killed
D
status 0 weft why --debugfs debug -o json
json 'len(x) == 2 and x[0]["since_ms"] == 1500 and x[1]["operation"] == "LOOKUP"'
json 'x[0]["server"] == "oss1 (up)" and "reply" in x[0]["waits_for"] and "map" in x[1]["waits_for"]'
status 0 weft why --debugfs debug $$; says "OBJ_READ"; says "$(cat /proc/$$/comm)"
status 0 weft why --debugfs debug "$top/typo.conf" -o json; json 'len(x) == 1 and x[0]["operation"] == "OBJ_READ"'
status 0 weft why --debugfs debug 999999999; says "Nothing is waited for"
refuse_says() { ! grep -q "$1" "$top/out" && ok || bad "it says $1"; }
status 0 weft why --debugfs debug; refuse_says "umount -f"
echo "COMMIT ino 1 group 1 target 0 waits reply ms 15000 pid 1 replays 0" >>debug/1/outstanding
status 0 weft why --debugfs debug; says "umount -f"; says "debug/1/abort"
status 1 weft why --debugfs absent; says "is the module loaded"
echo "nonsense" >>debug/1/outstanding
status 1 weft why --debugfs debug; says "1 lines"

# killing, and starting again
status 0 weft dev kill --dir dev oss1
status 1 weft dev status --dir dev
status 2 weft dev kill --dir dev oss9; says 'no daemon "oss9"'
status 1 weft target stats --timeout 5000; says "target $target on oss1"; says "kv_syncs"
status 0 weft dev restart --dir dev oss1 mds2 mgmt1
status 0 weft dev status --dir dev
status 0 weft status
printf '\377' | dd of=dev/mds1/superblock bs=1 seek=300 conv=notrunc 2>/dev/null
status 1 weft dev restart --dir dev mds1; says "mds1 does not run"; says "superblock is damaged"
printf '\0' | dd of=dev/mds1/superblock bs=1 seek=300 conv=notrunc 2>/dev/null
status 0 weft dev restart --dir dev mds1

# down leaves nothing running, up brings everything back
pids=$(cat dev/*.pid)
status 0 weft dev down --dir dev
for pid in $pids; do
	grep -q "$top/dev" /proc/$pid/cmdline 2>/dev/null && bad "process $pid still runs" || ok
done
status 4 weft status --timeout 500
status 0 weft dev up --dir dev
status 0 weft status; says "ok"
status 0 weft dev down --dir dev --destroy
[ ! -e dev ] && ok || bad "--destroy left something"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
