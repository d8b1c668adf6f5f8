# SPDX-License-Identifier: Apache-2.0
#
# A weft mount exported by the kernel's NFS server, and file handles by themselves: they stay good
# over dropped caches, renames and a new mount, and are ESTALE when the file has gone.
# kernels: stock
# seconds: 600
. "$WEFT_TOP/tests/vm/lib.sh"
calls=$WEFT_BUILD/tests/fs/calls
nfs=/run/nfs nfs3=/run/nfs3

export_up() { exportfs -o rw,sync,no_root_squash,insecure,no_subtree_check,fsid=0 "*:$MNT"; }
nfsd_up() {
	modprobe -a nfsd nfsv3 nfsv4 || return
	mkdir -p $nfs $nfs3 /run/rpcbind /var/lib/nfs/v4recovery /run/rpc_pipefs
	mount -t nfsd nfsd /proc/fs/nfsd && mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs || return
	rpcbind -w || return
	rpc.mountd -F &
	mountd=$!
	export_up || return
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	rpc.nfsd -V 3 -V 4.2 4 || return
	echo Y >/proc/fs/nfsd/v4_end_grace
}
nfsd_down() {
	umount $nfs3
	umount $nfs
	rpc.nfsd 0
	exportfs -ua
	kill $mountd
	kill "$(pidof rpcbind)"
	umount /run/rpc_pipefs
	umount /proc/fs/nfsd
}

require "cluster starts" weft_up 2 2
require "mount" weft_mount

# --- handles, without NFS
mkdir -p $MNT/h/dir/deep $MNT/other
echo content >$MNT/h/dir/deep/file
file=$($calls handle $MNT/h/dir/deep/file)
dir=$($calls handle $MNT/h/dir/deep)
says() { local want=$1; shift; [ "$("$@")" = "$want" ]; }
check "by handle" says content $calls by-handle $MNT "$file"
drop_caches
check "after the caches were dropped" says content $calls by-handle $MNT "$file"
check "a directory" says file $calls by-handle $MNT "$dir"
drop_caches
mv $MNT/h/dir/deep $MNT/other/moved
mv $MNT/other/moved/file $MNT/other/moved/renamed
check "after it was renamed and moved" says content $calls by-handle $MNT "$file"
drop_caches
check "the directory that was moved" says renamed $calls by-handle $MNT "$dir"
expect_errno ESTALE $calls by-handle $MNT 87:efbeadde00000000
expect_errno ESTALE $calls by-handle $MNT 87:ffffffffffffffff
expect_errno ESTALE $calls by-handle $MNT 87:0000000000000000
expect_errno ESTALE $calls by-handle $MNT 87:01
expect_errno ESTALE $calls by-handle $MNT "1:${file#*:}"
second=/weft2
mkdir $second
require "mount of a part of it" mount -t weft "${WEFT_SOURCE%/}/h" $second ${WEFT_OPTIONS:+-o $WEFT_OPTIONS}
check "a handle of inside" says dir $calls by-handle $second "$($calls handle $MNT/h)"
refuse "a directory outside" timeout 20 $calls by-handle $second "$dir"
require "unmount the part" weft_umount $second
require "unmount" weft_umount
require "mount again" weft_mount
check "by handle at a new mount" says content $calls by-handle $MNT "$file"
exec 5<$MNT/other/moved/renamed
rm $MNT/other/moved/renamed
check "unlinked while it is open" says content $calls by-handle $MNT "$file"
exec 5<&-
drop_caches
expect_errno ESTALE $calls by-handle $MNT "$file"
rmdir $MNT/other/moved
drop_caches
expect_errno ESTALE $calls by-handle $MNT "$dir"

# --- through the NFS server
require "NFS server" nfsd_up
require "NFSv4 mount" mount -t nfs -o vers=4.2,proto=tcp 127.0.0.1:/ $nfs
require "NFSv3 mount" mount -t nfs -o vers=3,proto=tcp,mountproto=tcp,nolock,noac 127.0.0.1:$MNT $nfs3
tree() {
	mkdir -p "$1/tree/a/b" && echo one >"$1/tree/a/b/one" && echo two >"$1/tree/a/b/two" &&
		mv "$1/tree/a/b/two" "$1/tree/a/zwei" && ln "$1/tree/a/zwei" "$1/tree/link" &&
		ln -s a/zwei "$1/tree/symlink" && [ "$(cat "$1/tree/symlink")" = two ] &&
		rm "$1/tree/link" && chmod 640 "$1/tree/a/zwei" && truncate -s 3 "$1/tree/a/zwei"
}
same() {
	[ "$(cd $MNT/tree && find . | sort)" = "$(cd "$1/tree" && find . | sort)" ] &&
		[ "$(cat $MNT/tree/a/zwei)" = "two" ] && [ "$(stat -c %a $MNT/tree/a/zwei)" = 640 ]
}
for m in $nfs $nfs3; do
	check "names on $m" tree $m
	check "the same at the server" same $m
	check "many names on $m" bash -c "touch $m/tree/f{1..300} && [ \$(ls $m/tree | wc -l) = 302 ]"
	check "bulk" dd if=/dev/urandom of=$m/tree/bulk bs=1M count=8 conv=fsync status=none
	drop_caches
	check "bulk is the same at the server" cmp $m/tree/bulk $MNT/tree/bulk
	rm -rf $m/tree
	refuse "removed" test -e $MNT/tree
done

# Names that change under the client: its handles stay.
mkdir -p $MNT/x/y/z
echo here >$MNT/x/y/z/file
for m in $nfs $nfs3; do
	cd $m/x/y/z || exit
	exec 5<>file
	drop_caches
	check "a deep directory after the server's caches were dropped" test "$(cat file)" = here
	mv $MNT/x/y $MNT/x/Y
	mv $MNT/x/Y/z/file $MNT/x/Y/file2
	drop_caches
	check "the open file was renamed: read" test "$(cat <&5)" = here
	check "write" bash -c "echo there >&5 && sync /proc/self/fd/5"
	check "the server has it" grep -q there $MNT/x/Y/file2
	check "the directory was renamed: make a file" touch made
	check "the server has that" rm $MNT/x/Y/z/made
	exec 5<&-
	cd / || exit
	mv $MNT/x/Y/file2 $MNT/x/Y/z/file
	mv $MNT/x/Y $MNT/x/y
	echo here >$MNT/x/y/z/file
	drop_caches
done

exec 5<$nfs3/x/y/z/file
rm $MNT/x/y/z/file
drop_caches
expect_errno ESTALE cat <&5
exec 5<&-
echo again >$MNT/x/y/z/file
exec 5<$nfs/x/y/z/file
rm $MNT/x/y/z/file
drop_caches
check "the server keeps what an NFSv4 client has open" test "$(cat <&5)" = again
exec 5<&-

# A weft mount that goes and comes back.
echo stays >$MNT/x/y/z/stays
cd $nfs3/x/y/z || exit
exec 5<stays
gone() {
	exportfs -ua && exportfs -f
	until_ok 10 weft_umount
}
require "unmount the exported file system" gone
require "mount it again" weft_mount
require "export it again" export_up
check "the NFS client's open file is good" test "$(cat <&5)" = stays
check "its directory as well" test "$(cat stays)" = stays
exec 5<&-
cd / || exit
nfsd_down
require "unmount" weft_umount
