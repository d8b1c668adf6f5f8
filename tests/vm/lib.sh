# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/lib.sh - what the suites in a guest share. A suite starts with
#
#	. "$WEFT_TOP/tests/vm/lib.sh"
#
# and then calls check, require and expect_errno; each counts as one test. When the suite ends, how
# ever it ends, what it mounted and started is taken down and `N passed, N failed` is printed.
#
# $WEFT_NET says how mounts talk to servers: tcp, or rdma (make vm-check NET=rdma): then weft_up has
# the servers listen on the guest's RDMA device too ($WEFT_RAILS: on these addresses), and mounts get
# net=rdma. $WEFT_LISTEN is the servers' address for TCP. rdma.sh, which is here as well, has what
# concerns the devices.
#
#	check WHAT COMMAND...		one test: the command must succeed
#	refuse WHAT COMMAND...		one test: the command must fail
#	require WHAT COMMAND...		as check; without it the rest makes no sense: the suite ends
#	expect_errno ERRNO COMMAND...	one test: the command must fail and say that error
#	program COMMAND...		a program that counts its own tests: they count here
#	until_ok SECONDS COMMAND...	until the command succeeds
#	ended PID			a child of the suite is over, whether somebody waited for it or not
#	scaled N			N on the stock kernel, a fifth on kernels with checkers
#	weft_module			load it, with what it depends on
#	weft_module_remove		all of ours; fails while it is used
#	weft_up [MDS [OSS [OPTION...]]]	module, cluster on loopback in /data/weft (2 and 3)
#	weft_mount [DIR [OPTIONS]]	mount it ($MNT)
#	weft_umount [DIR]
#	weft_down			umount all, stop the cluster, remove the module
#	weft_daemons			names of the daemons, management first
#	weft_kill NAME..., weft_start NAME...	kill -9 daemons, start them again
#	writers_start LOGDIR N SECONDS	N programs write to $MNT and note in LOGDIR what was acknowledged
#	writers_go_on			they do something new, within a minute
#	writers_stop			they end; it fails when one has seen an error
#	writers_verify			a program: all that was acknowledged is there
#	drop_caches			page cache, dentries and inodes

set -u
. "$WEFT_TOP/tests/lib/counts.sh"
. "$WEFT_TOP/tests/vm/rdma.sh"
export PATH=$WEFT_BUILD/bin:$PATH
: "${WEFT_NET:=tcp}"
WEFT_DIR=/data/weft
MNT=/weft
passed=0 failed=0

_pass() { passed=$((passed + 1)); echo "ok      $*"; }
_fail() { failed=$((failed + 1)); echo "FAILED  $*"; }

_finish() {
	local status=$?
	local job
	trap - EXIT
	for job in $(jobs -p); do
		kill -KILL "$job" 2>/dev/null
	done
	[ $status != 0 ] && [ $failed = 0 ] && _fail "the suite ended with status $status"
	[ $failed != 0 ] && _save_logs
	weft_down
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && exit 0
	exit 1
}
trap _finish EXIT
trap 'exit 130' INT TERM

# What the daemons wrote goes beside the suite's log; that of a pair's server to its own logs.
_save_logs() {
	local to
	[ -z "${WEFT_REMOTE:-}" ] || REMOTE_TIMEOUT=60 remote _save_logs
	[ -d $WEFT_DIR ] || return
	to=$WEFT_JOB/suites/$(basename "$0" .sh).d
	mkdir -p "$to"
	find $WEFT_DIR -maxdepth 2 -name '*.log' -size -20M -exec cp {} "$to/" \;
}

check() {
	local what=$1
	shift
	if "$@"; then _pass "$what"; else _fail "$what: $* (status $?)"; fi
}

refuse() {
	local what=$1
	shift
	if "$@"; then _fail "$what: $* did not fail"; else _pass "$what"; fi
}

require() {
	local what=$1
	shift
	if "$@"; then
		_pass "$what"
	else
		_fail "$what: $* (status $?)"
		exit 1
	fi
}

declare -A _sentence=(
	[EPERM]="Operation not permitted" [ENOENT]="No such file or directory"
	[EIO]="Input/output error" [EACCES]="Permission denied" [EBUSY]="Device or resource busy"
	[EEXIST]="File exists" [EXDEV]="Invalid cross-device link" [ENODEV]="No such device"
	[ENOTDIR]="Not a directory" [EISDIR]="Is a directory" [EINVAL]="Invalid argument"
	[ETXTBSY]="Text file busy" [EFBIG]="File too large" [ENOSPC]="No space left on device"
	[EROFS]="Read-only file system" [EMLINK]="Too many links" [ENAMETOOLONG]="File name too long"
	[ENOTEMPTY]="Directory not empty" [ELOOP]="Too many levels of symbolic links"
	[ENODATA]="No data available" [EOPNOTSUPP]="Operation not supported" [ESTALE]="Stale file handle"
	[ETIMEDOUT]="Connection timed out" [ECONNREFUSED]="Connection refused"
	[EHOSTUNREACH]="No route to host" [ENETUNREACH]="Network is unreachable"
	[EPROTO]="Protocol error" [EBADMSG]="Bad message" [EPROTONOSUPPORT]="Protocol not supported"
	[EUCLEAN]="Structure needs cleaning" [EKEYREJECTED]="Key was rejected by service"
	[ENOTCONN]="Transport endpoint is not connected" [ESHUTDOWN]="Cannot send after transport"
)
expect_errno() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		_fail "$name expected, but it succeeded: $*"
	elif [[ $said == *"${_sentence[$name]:?unknown errno $name}"* ]]; then
		_pass "$name: $*"
	else
		_fail "$name expected of: $*; it said: $said"
	fi
}

program() {
	local status p f
	"$@" >/run/program.log 2>&1
	status=$?
	cat /run/program.log
	read -r p f <<<"$(counts /run/program.log $status)"
	passed=$((passed + p)) failed=$((failed + f))
	[ "$f" = 0 ] || echo "FAILED  $*: $p passed, $f failed, status $status"
}

until_ok() {
	local limit=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.2
	done
}

ended() { [ ! -e "/proc/$1" ] || [ "$(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null)" = Z ]; }

scaled() { [[ $WEFT_KERNEL == stock* ]] && echo "$1" || echo $((($1 + 4) / 5)); }

drop_caches() { sync; echo 3 >/proc/sys/vm/drop_caches; }

# insmod does not look for what a module needs, modprobe does not find ours.
_insert() {
	! grep -q "^$1 " /proc/modules || return 0
	modinfo -F depends "$WEFT_KMOD/$1.ko" | tr , '\n' | grep -vx weft | xargs -r modprobe -a || return
	insmod "$WEFT_KMOD/$1.ko"
}

weft_module() { _insert weft && { [ "$WEFT_NET" = tcp ] || _insert weft_rdma; }; }

weft_module_remove() {
	local module
	for module in weft_rdma weft; do
		! grep -q "^$module " /proc/modules || rmmod $module || return
	done
}

weft_up() {
	local more=()
	# mount(8) calls /sbin/mount.<type>.
	[ -e /sbin/mount.weft ] || cp "$WEFT_BUILD/bin/mount.weft" /sbin/
	if [ "$WEFT_NET" != tcp ]; then
		rdma_up "${WEFT_RDMA:-rxe}" || return
		more=(--rdma "${WEFT_RAILS:-$(rdma_address)}")
	fi
	[ -n "${WEFT_LISTEN:-}" ] && more+=(--listen "$WEFT_LISTEN")
	weft_module || return
	mkdir -p $WEFT_DIR
	weft dev up --dir $WEFT_DIR --wait 180 --mds "${1:-2}" --oss "${2:-3}" "${more[@]}" \
		"${@:3}" >/run/weft-up || return
	cat /run/weft-up
	# The line it prints for people is the one that is used here.
	WEFT_SOURCE=$(grep -o '[^ ]*:/ ' /run/weft-up | head -n 1 | tr -d ' ')
	WEFT_OPTIONS=$(sed -n 's/.*mount -t weft.* -o \([^ ]*\).*/\1/p' /run/weft-up | head -n 1)
	[[ $WEFT_NET = tcp || $WEFT_OPTIONS == *net=* ]] || WEFT_OPTIONS+=${WEFT_OPTIONS:+,}net=$WEFT_NET
	[ -n "$WEFT_SOURCE" ]
}

weft_mount() {
	local dir=${1:-$MNT} options=${2:-}
	[ -n "$WEFT_OPTIONS" ] && options=$WEFT_OPTIONS${options:+,$options}
	mkdir -p "$dir"
	mount -t weft "$WEFT_SOURCE" "$dir" ${options:+-o "$options"}
}

weft_umount() { umount "${1:-$MNT}"; }
weft_daemons() { basename -s .pid -a $WEFT_DIR/mgmt*.pid $WEFT_DIR/m[!g]*.pid $WEFT_DIR/oss*.pid; }
weft_kill() { weft dev kill --dir $WEFT_DIR "$@"; }
weft_start() { weft dev restart --dir $WEFT_DIR "$@"; }

writers_start() {
	_writers_log=$1
	_ackcheck=("$WEFT_BUILD/tests/fs/ackcheck" -p "$2" --log "$1" "$MNT")
	mkdir -p "$1"
	"${_ackcheck[@]}" --write --seconds "$3" --seed 7 >/run/writers.log 2>&1 &
	_writers_pid=$!
}

writers_go_on() {
	local before try
	before=$(cat "$_writers_log"/*.log | wc -c)
	for try in $(seq 300); do
		[ "$(cat "$_writers_log"/*.log | wc -c)" -gt $((before + 2000)) ] && return 0
		kill -0 $_writers_pid || return 1
		sleep 0.2
	done
	return 1
}

writers_stop() {
	local status
	kill -TERM $_writers_pid
	wait $_writers_pid
	status=$?
	cat /run/writers.log
	return $status
}

writers_verify() { "${_ackcheck[@]}" --verify; }

weft_down() {
	local dir
	while read -r _ dir _; do
		timeout -s KILL 120 umount "$dir" || umount -f "$dir"
	done < <(grep ' weft ' /proc/mounts | tac)
	if [ -d $WEFT_DIR ]; then
		weft dev down --dir $WEFT_DIR
		rm -rf $WEFT_DIR
	fi
	WEFT_SOURCE=
	weft_module_remove
}
