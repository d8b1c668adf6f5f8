# SPDX-License-Identifier: Apache-2.0
#
# tests/bench/lib/nfs.sh - the kernel's NFS server, NFSv4.2 only, mounted on the same machine. Sourced; who
# does so has die().
#
#	nfs_up EXPORT [tcp|rdma]		EXPORT is made and exported with `sync`
#	nfs_mount MOUNT [tcp|rdma [ADDRESS]]	mount it
#	nfs_down EXPORT MOUNT			all of that goes
#
# RDMA needs an RDMA device with that ADDRESS; the port is 20049.

nfs_down() {
	mountpoint -q "$2" && umount -f "$2"
	rpc.nfsd 0 2>/dev/null
	exportfs -ua 2>/dev/null
	[ -n "${mountd:-}" ] && kill "$mountd" 2>/dev/null
	[ -n "${rpcbind:-}" ] && kill "$rpcbind" 2>/dev/null
	rm -rf "${1:?}"
}

# Nobody has state to reclaim, so the grace period is ended.
nfs_up() {
	local exported=$1
	modprobe nfsd && modprobe nfsv4 || die "this kernel has no NFS server or no NFSv4 client"
	mkdir -p "$exported" /run/rpcbind /var/lib/nfs/v4recovery /run/rpc_pipefs
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd || die "mounting nfsd"
	mountpoint -q /run/rpc_pipefs || mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
	pidof rpcbind >/dev/null || { rpcbind -w && rpcbind=$(pidof rpcbind); }
	rpc.mountd -F & mountd=$!
	exportfs -o rw,sync,no_root_squash,insecure,no_subtree_check,fsid=0 "*:$exported" ||
		die "exporting $exported"
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	rpc.nfsd -N 3 -V 4.2 8 || die "starting nfsd"
	echo Y >/proc/fs/nfsd/v4_end_grace 2>/dev/null
	if [ "${2:-tcp}" = rdma ]; then
		modprobe rpcrdma && echo "rdma 20049" >/proc/fs/nfsd/portlist ||
			die "nfsd does not listen on RDMA"
	fi
}

nfs_mount() {
	local options=vers=4.2,proto=${2:-tcp} address=${3:-127.0.0.1}
	[ "${2:-tcp}" = tcp ] || options+=,port=20049
	mkdir -p "$1"
	mount -t nfs -o "$options" "$address:/" "$1" || die "mounting $address:/ with $options"
}
