/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bodies of the metadata operations.
 *
 * Requests open with struct weft_ns_req: who asks, the inode or directory, and the lengths of what
 * follows in the tail, in this order: the supplementary groups (creds.ngroups * __le32), name
 * (name_len bytes), name2 (name2_len bytes). weft_ns_tail() takes the tail apart.
 *
 * Routing: a request goes to the group of the shard of ns.ino (WEFT_INO_SHARD). "ns.ino" is the
 * directory for operations on names and the inode itself for the others.
 *
 * Replies to operations that change carry the attributes of what they changed as they are after
 * the change, and the change counter before it, so that a client can tell its own changes from
 * those of others.
 */
#ifndef WEFT_PROTO_META_H
#define WEFT_PROTO_META_H

#include "proto/cursor.h"
#include "proto/wire.h"

/* Inode numbers: 16 bits of virtual shard, 48 bits of counter; never reused. */
#define WEFT_INO_SHARD_SHIFT 48
#define WEFT_INO_SHARD(ino) ((u32)((ino) >> WEFT_INO_SHARD_SHIFT))
#define WEFT_INO_MAKE(shard, counter) (((u64)(shard) << WEFT_INO_SHARD_SHIFT) | (counter))
#define WEFT_INO_ROOT 1ull /* shard 0, counter 1; counters of shard 0 go on at 2 */

#define WEFT_INLINE_DEFAULT 16384 /* files up to this size live in the metadata group */
#define WEFT_INLINE_MAX 65536
#define WEFT_CHUNK_SHIFT_MIN 16
#define WEFT_CHUNK_SHIFT_MAX 26
#define WEFT_CHUNK_SHIFT_DEFAULT 20
#define WEFT_FILE_SIZE_MAX 0x7fffffffffffffffull

struct weft_time {
	__le64 sec; /* signed seconds since 1970 */
	__le32 nsec;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_time, 16);

/* Layout of a file; of a directory: what new files in it get. */
struct weft_layout {
	__le32 pool;
	__u8 chunk_shift; /* log2 of the chunk size */
	__u8 flags;	  /* WEFT_LAYOUT_* */
	__le16 width;	  /* data groups used; 0: all of the pool when the file was created */
	__le32 seed;	  /* permutes the pool's groups, see proto/placement.h */
	__le32 inline_max; /* largest size that stays in the metadata group, 0: none */
};
WEFT_ASSERT_SIZE(struct weft_layout, 16);

#define WEFT_LAYOUT_INLINE 0x01	  /* the bytes are in the metadata group */
/* Still inline, but a client began to move the bytes: objects may exist on data servers. */
#define WEFT_LAYOUT_SPILLING 0x02
/* With SPILLING: the inline bytes or the size have changed since, what is in chunks is void. */
#define WEFT_LAYOUT_SPILL_VOID 0x04

struct weft_attr {
	__le64 ino;
	__le64 size;
	__le64 bytes_used;   /* allocated bytes (st_blocks * 512), rounded up */
	__le64 change;	     /* grows with each change of the inode, or of a directory's entries */
	__le64 data_version; /* grows when content changes: keeps page caches honest */
	__le64 parent;	     /* directories: the directory that holds it; others 0 */
	struct weft_time atime, mtime, ctime, btime;
	__le32 mode; /* S_IFMT and permissions */
	__le32 uid, gid;
	__le32 nlink;
	__le32 rdev_major, rdev_minor;
	struct weft_layout layout;
};
WEFT_ASSERT_SIZE(struct weft_attr, 152);

/* Who asks. Ids are those of the initial user namespace. */
struct weft_creds {
	__le32 uid, gid;
	__le32 caps;	/* WEFT_CAP_* */
	__le32 ngroups; /* in the tail */
};
WEFT_ASSERT_SIZE(struct weft_creds, 16);

#define WEFT_CAP_DAC_OVERRIDE 0x0001
#define WEFT_CAP_DAC_READ_SEARCH 0x0002
#define WEFT_CAP_FOWNER 0x0004
#define WEFT_CAP_CHOWN 0x0008
#define WEFT_CAP_FSETID 0x0010
#define WEFT_CAP_MKNOD 0x0020
#define WEFT_CAP_SYS_ADMIN 0x0040 /* trusted and security attributes */
#define WEFT_CAP_ALL 0x007f

/*
 * Opens every metadata request; alone it is the body of LOOKUP, GETATTR, UNLINK, RMDIR and
 * READ_INLINE.
 */
struct weft_ns_req {
	struct weft_creds creds;
	__le64 ino;
	__le16 name_len;
	__le16 name2_len;
	__le32 flags; /* WEFT_NS_* */
	__le64 open_id;
};
WEFT_ASSERT_SIZE(struct weft_ns_req, 40);

/*
 * The client has the file that loses this name open: the server keeps it until CLOSE
 * (ns.open_id names the registration, see OPEN). UNLINK, and RENAME over a target.
 */
#define WEFT_NS_VICTIM_OPEN 0x0001
/* LOOKUP, GETATTR, OPEN: put the inline data, or a symlink's target, into the reply's bulk. */
#define WEFT_NS_WANT_DATA 0x0002
/* LOOKUP with an empty name: the parent of directory ns.ino (NFS handles, "..") */
#define WEFT_NS_PARENT 0x0004
/*
 * SETATTR: size is set through an open file (ftruncate: no permission check on the file); or, with
 * WEFT_SET_ATIME alone, the time of an access is told late (ctime stays, no permission check).
 */
#define WEFT_NS_BY_HANDLE 0x0008
#define WEFT_NS_KNOWN 0x000f

/**
 * weft_ns_tail() - take the tail of a metadata request apart
 * @ns: the request's head, already known to be inside the message
 * @tail: bytes behind the fixed body
 * @tail_len: their number
 * @groups: out: @ns->creds.ngroups little endian group ids, of any alignment
 * @name: out: ns->name_len bytes, not terminated
 * @name2: out: ns->name2_len bytes, not terminated
 *
 * Return: 0, or -EBADMSG if the lengths do not add up.
 */
static inline int weft_ns_tail(const struct weft_ns_req *ns, const void *tail, size_t tail_len,
			       const void **groups, const char **name, const char **name2)
{
	u32 ngroups = le32_to_cpu(ns->creds.ngroups);
	struct weft_cursor c;

	if (ngroups > WEFT_GROUPS_MAX)
		return -EBADMSG;
	weft_cur_init(&c, tail, tail_len);
	*groups = weft_cur_take(&c, ngroups * sizeof(__le32));
	*name = weft_cur_take(&c, le16_to_cpu(ns->name_len));
	*name2 = weft_cur_take(&c, le16_to_cpu(ns->name2_len));
	return weft_cur_done(&c) ? 0 : -EBADMSG;
}

/*
 * Reply about an inode. @prev_change, @prev_data: counters before this operation (equal to the
 * ones in @attr when it changed nothing).
 */
struct weft_attr_rep {
	struct weft_attr attr;
	__le64 prev_change;
	__le64 prev_data;
};
WEFT_ASSERT_SIZE(struct weft_attr_rep, 168);

/*
 * Reply about an entry of a directory: the inode named, and the directory. After UNLINK and RMDIR
 * @attr is the inode that lost its name (nlink may be 0). With ENOENT on a LOOKUP the body is
 * present and only @dir is valid (absent names may be cached under a lease).
 */
struct weft_entry_rep {
	struct weft_attr attr;
	struct weft_attr dir;
	__le64 prev_dir_change;
	__le64 prev_data;
	__le64 open_id; /* OPEN: registration that was made (the request's), 0: none */
	__le32 flags;	/* WEFT_ENTRY_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_entry_rep, 336);

#define WEFT_ENTRY_CREATED 0x0001 /* OPEN made the file */
/*
 * The inode lives on another group; of @attr only ino and the type in mode are valid. The client
 * asks that group with GETATTR (or OPEN by inode).
 */
#define WEFT_ENTRY_REMOTE 0x0002

/* SETATTR: which fields of @attr to set. */
#define WEFT_SET_MODE 0x0001
#define WEFT_SET_UID 0x0002
#define WEFT_SET_GID 0x0004
#define WEFT_SET_SIZE 0x0008
#define WEFT_SET_ATIME 0x0010
#define WEFT_SET_MTIME 0x0020
#define WEFT_SET_ATIME_NOW 0x0040 /* the server's clock */
#define WEFT_SET_MTIME_NOW 0x0080
#define WEFT_SET_KILL_PRIV 0x0100 /* clear suid, and sgid if group-executable (write, truncate) */
#define WEFT_SET_KNOWN 0x01ff

/*
 * SETATTR. A new size cuts the objects on the data servers before the reply, at the smaller of the
 * old and the new size: the server logs the cut, carries it out, and holds other operations on the
 * inode meanwhile. A client whose writes are behind the size that the server knows commits them
 * before it makes the file larger.
 */
struct weft_setattr_req {
	struct weft_ns_req ns;
	__le32 valid; /* WEFT_SET_* */
	__le32 mode, uid, gid;
	__le64 size;
	struct weft_time atime, mtime;
};
WEFT_ASSERT_SIZE(struct weft_setattr_req, 96);

/*
 * OPEN: lookup + create + open + layout + inline data in one.
 *
 * With name_len > 0 ns.ino is the directory; else ns.ino is the file itself. If the name is
 * something else than a regular file, nothing is opened: the reply is that of LOOKUP.
 * ns.open_id (chosen by the client, unique for it, not 0) registers the file as open by this
 * session; asking again with the same id is harmless. CLOSE takes the registration away.
 * Permissions are checked against the access in @flags unless the file was created here.
 * The request carries a slot when it has WEFT_OPEN_CREATE or WEFT_OPEN_TRUNC, and none else.
 */
struct weft_open_req {
	struct weft_ns_req ns;
	__le32 flags; /* WEFT_OPEN_* */
	__le32 mode;  /* permissions of a new file, umask already applied */
};
WEFT_ASSERT_SIZE(struct weft_open_req, 48);

#define WEFT_OPEN_READ 0x0001
#define WEFT_OPEN_WRITE 0x0002
#define WEFT_OPEN_CREATE 0x0004
#define WEFT_OPEN_EXCL 0x0008
#define WEFT_OPEN_TRUNC 0x0010
#define WEFT_OPEN_EXEC 0x0020
#define WEFT_OPEN_TMPFILE 0x0040 /* with CREATE: an inode without a name in directory ns.ino */
#define WEFT_OPEN_CHUNKED 0x0080 /* with CREATE: a new file, expected to be large, is not inline */
#define WEFT_OPEN_KNOWN 0x00ff

/* CREATE: mkdir, symlink (target in name2), fifo, socket, device, file: by S_IFMT of @mode. */
struct weft_create_req {
	struct weft_ns_req ns;
	__le32 mode; /* umask already applied */
	__le32 rdev_major, rdev_minor;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_create_req, 56);

/* LINK: new entry ns.name in directory ns.ino for inode @target. */
struct weft_link_req {
	struct weft_ns_req ns;
	__le64 target;
};
WEFT_ASSERT_SIZE(struct weft_link_req, 48);

/* RENAME: ns.name in directory ns.ino becomes ns.name2 in directory @new_dir. */
struct weft_rename_req {
	struct weft_ns_req ns;
	__le64 new_dir;
	__le32 flags; /* WEFT_RENAME_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_rename_req, 56);

#define WEFT_RENAME_NOREPLACE 0x0001
#define WEFT_RENAME_EXCHANGE 0x0002
#define WEFT_RENAME_KNOWN 0x0003

/* @victim: inode that lost its name (ino 0: none; EXCHANGE: the other inode). */
struct weft_rename_rep {
	struct weft_attr moved;
	struct weft_attr victim;
	struct weft_attr old_dir;
	struct weft_attr new_dir;
	__le64 prev_old_dir_change;
	__le64 prev_new_dir_change;
};
WEFT_ASSERT_SIZE(struct weft_rename_rep, 624);

/*
 * READDIR: entries behind cookie @cookie (0: the beginning; "." and ".." are the client's), in
 * hash order, packed as struct weft_dirent into the reply's bulk (at most hdr.bulk_max bytes).
 * Entries of equal cookie are never split over two replies.
 */
struct weft_readdir_req {
	struct weft_ns_req ns;
	__le64 cookie;
	__le32 flags; /* WEFT_READDIR_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_readdir_req, 56);

#define WEFT_READDIR_ATTRS 0x0001 /* dirents carry attributes */

struct weft_readdir_rep {
	struct weft_attr dir;
	__le32 count;
	__le32 eof;
};
WEFT_ASSERT_SIZE(struct weft_readdir_rep, 160);

/* One entry; @rec_len bytes in all, a multiple of 8; the name follows, not terminated. */
struct weft_dirent {
	__le16 rec_len;
	__le16 name_len;
	__le32 flags; /* WEFT_ENTRY_REMOTE: only ino and type of @attr are valid */
	__le64 cookie;
	struct weft_attr attr;
};
WEFT_ASSERT_SIZE(struct weft_dirent, 168);

/**
 * weft_dirent_next() - take the next entry of a READDIR reply
 * @c: cursor over the reply's bulk
 * @de: out: copy of the fixed part
 * @name: out: its name inside the bulk, de->name_len bytes
 *
 * Return: 1, 0 at the end, -EBADMSG if the bulk is not well formed.
 */
static inline int weft_dirent_next(struct weft_cursor *c, struct weft_dirent *de,
				   const char **name)
{
	size_t rec, len;

	if (!c->failed && !c->left)
		return 0;
	if (!weft_cur_copy(c, de, sizeof(*de)))
		return -EBADMSG;
	rec = le16_to_cpu(de->rec_len);
	len = le16_to_cpu(de->name_len);
	if (!len || len > WEFT_NAME_MAX || rec < sizeof(*de) + len || rec % 8)
		return -EBADMSG;
	*name = weft_cur_take(c, rec - sizeof(*de));
	return *name ? 1 : -EBADMSG;
}

/* GETXATTR, SETXATTR (bulk: value), LISTXATTR (bulk: names, each ending with NUL). */
struct weft_xattr_req {
	struct weft_ns_req ns; /* name: the attribute's, with its prefix */
	__le32 flags;	       /* WEFT_XATTR_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_xattr_req, 48);

#define WEFT_XATTR_CREATE 0x0001
#define WEFT_XATTR_REPLACE 0x0002
#define WEFT_XATTR_REMOVE 0x0004
/*
 * Names "weft.layout" (text "pool=NAME chunk=BYTES width=N inline=BYTES") are the layout of a
 * directory or an empty file: read and set like any other attribute, not listed.
 */
#define WEFT_XATTR_LAYOUT "weft.layout"

/* @size: bytes of the whole value or list; if hdr.bulk_max was smaller, nothing is sent. */
struct weft_xattr_rep {
	__le32 size;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_xattr_rep, 8);

/*
 * WRITE_INLINE: bulk replaces [offset, offset + bulk_len); size becomes max(size, end).
 *   Refused with WEFT_S_LAYOUT if the file is not inline (any more) or would exceed inline_max.
 *   While the file is SPILLING the inline bytes are the truth: this, and a new size (SETATTR,
 *   OPEN), change them and mark the spill as VOID.
 * COMMIT: chunks were written: size becomes max(size, @size), times and usage are updated.
 * SPILL: @flags BEGIN: the file is about to get chunks. If it was SPILLING already, an earlier
 *   attempt died or is void: the server cuts all its objects before it replies. WEFT_S_BUSY while
 *   another live session moves it. @flags DONE: all bytes are in chunks now; inline data is
 *   dropped, size becomes max(size, @size). Refused with WEFT_S_LAYOUT when it is void or not this
 *   session's: begin again. BEGIN and DONE at once for a file of size 0 that is not SPILLING yet
 *   (else EINVAL): it has nothing to move. @flags ABORT: the session gives up, and none of its
 *   writes is under way: the spill is void, others need not wait for the session.
 * With WEFT_WRITE_CLOSE the registration ns.open_id is closed as well.
 */
struct weft_write_req {
	struct weft_ns_req ns;
	__le64 offset;
	__le64 size;
	__le64 bytes_delta; /* signed change of allocated bytes, as the data servers told */
	struct weft_time mtime; /* used with WEFT_WRITE_MTIME, else the server's clock */
	__le32 flags; /* WEFT_WRITE_* */
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_write_req, 88);

#define WEFT_WRITE_CLOSE 0x0001
#define WEFT_WRITE_MTIME 0x0002
#define WEFT_WRITE_SPILL_BEGIN 0x0004
#define WEFT_WRITE_SPILL_DONE 0x0008
#define WEFT_WRITE_SPILL_ABORT 0x0010
#define WEFT_WRITE_KNOWN 0x001f

/* CLOSE and RECLAIM: @count pairs in the tail. */
struct weft_opens_req {
	__le32 count;
	__le32 flags; /* WEFT_RECLAIM_* */
};
WEFT_ASSERT_SIZE(struct weft_opens_req, 8);
#define WEFT_RECLAIM_DONE 0x0001 /* RECLAIM: the session has no more */

struct weft_open_pair {
	__le64 ino;
	__le64 open_id;
};
WEFT_ASSERT_SIZE(struct weft_open_pair, 16);

/* RECLAIM: @lost of the files no longer exist; their numbers (__le64 each) are in the tail. */
struct weft_opens_rep {
	__le32 lost;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_opens_rep, 8);

/*
 * SESSION_OPEN: on each (re)connection to a metadata group. The session is hdr.session, the
 * group hdr.group. The client's host name is in the tail (name_len bytes) for people to read.
 */
struct weft_session_open_req {
	__le64 incarnation; /* random, chosen when the client got its id; guards against mix-ups */
	__le16 slots;	    /* wanted */
	__le16 name_len;
	__le32 reserved;
};
WEFT_ASSERT_SIZE(struct weft_session_open_req, 16);

struct weft_session_open_rep {
	__le16 slots; /* granted; slots are numbered from 0 */
	__le16 reserved;
	__le32 lease_ms;
	__le32 flags; /* WEFT_SESSION_* */
	__le32 lease; /* enum weft_lease */
	__le64 lease_seq; /* number of this lease, see weft_lease_push */
};
WEFT_ASSERT_SIZE(struct weft_session_open_rep, 24);

/* The server restarted or took over: RECLAIM open files before anything else. */
#define WEFT_SESSION_RECLAIM 0x0001
/* The server had no record of this session: it is new here, any slot_seq is a new request. */
#define WEFT_SESSION_NEW 0x0002

struct weft_keepalive_rep {
	__le32 lease;
	__le32 lease_ms;
	__le64 lease_seq;
};
WEFT_ASSERT_SIZE(struct weft_keepalive_rep, 16);

/*
 * Leases of this version, per session and metadata group:
 * NONE: names and attributes are asked for at each use; data is checked at open (data_version).
 * SOLE: no other client session exists at this group: cache names, absent names, attributes and
 *   data without asking. RECALL: register all open files (RECLAIM), write back dirty data, stop
 *   caching, then LEASE_ACK with the push's lease_seq.
 */
enum weft_lease { WEFT_LEASE_NONE = 0, WEFT_LEASE_SOLE = 1 };

struct weft_lease_push {
	__le32 lease; /* what the session has after this */
	__le32 group;
	__le64 lease_seq;
};
WEFT_ASSERT_SIZE(struct weft_lease_push, 16);

struct weft_lease_ack_req {
	__le64 lease_seq;
};
WEFT_ASSERT_SIZE(struct weft_lease_ack_req, 8);

#endif
