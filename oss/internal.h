/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the chunk store. One section for each source file.
 *
 * A segment has two states: @cur, with all changes that have their data on disk, and @stable, the
 * one that is durable. Readers see @stable. A change holds its segment's lock while it reads
 * and writes blocks (part.c), then makes its record @cur, lets the next change go on and joins the
 * open commit group; when the group is durable its records become @stable (commit.c).
 */
#ifndef WEFT_OSS_INTERNAL_H
#define WEFT_OSS_INTERNAL_H

#include "common/kv.h"
#include "oss/store.h"

#define OSS_CF_META 0
#define OSS_CF_CHUNKS 1

struct oss_part;

/**
 * struct oss_seg - a segment in memory
 * @key: which one
 * @refs: users; at 0 it is only cached
 * @cur: state that the next change starts from
 * @stable: durable state
 * @gen: counts the times when @cur fell back to @stable
 * @owner: the change that holds the lock
 * @queue: changes that wait for the lock
 * @running: oss_seg_run() is active
 * @last: last change of the segment in the commit group that is being built
 * @put: a change of that group is not small
 * @small_next: in the store's list of segments with small blocks, when @is_small
 * @broken: in the store's list of segments whose stored record is uncertain
 */
struct oss_seg {
	struct oss_key key;
	unsigned int refs;
	struct oss_rec *cur;
	struct oss_rec *stable;
	uint32_t gen;
	struct oss_part *owner;
	struct oss_part *queue, **queue_tail;
	bool running;
	struct oss_part *last;
	bool put;
	struct oss_seg *small_next;
	bool is_small;
	struct oss_seg *broken;
	bool is_broken;
	struct oss_seg *hash_next;
	struct oss_seg *prev, *next;
};

/* A block that a change covers in part: bytes [from, to). */
struct oss_edge {
	uint32_t blk;
	uint32_t from;
	uint32_t to;
	bool read;
	struct weft_buf *buf;
};

/* What a change does to a block. */
enum oss_act {
	OSS_KEEP,
	OSS_PUT, /* write it: in place when it is unwritten, else to new space */
	OSS_DROP, /* it becomes a hole */
	OSS_RESERVE, /* a hole becomes an unwritten block */
	OSS_MOVE, /* a small block goes to its place in the data file */
};

/**
 * struct oss_part - the share of an operation in one segment
 * @next: link of the list it is in: seg->queue, a commit group, or waiters for space
 * @sibling: next part of the same read
 * @off: first byte within the segment
 * @len: bytes
 * @bulk_off: where its bytes begin in op->bulk
 * @rec: a read's pinned record; a change's new record
 * @base: the record that a change started from
 * @act: what a change does to each block, enum oss_act
 * @gen: seg->gen when it began
 * @mem: memory of the blocks that are read or written, else NULL
 * @bounce: memory that @mem points to when the bulk cannot be used as it is
 * @alloced: blocks it took
 * @freed: blocks of the previous record that its record does not use
 * @delta: change of the number of mapped blocks
 * @nsmall: the blocks it writes are small: how many
 * @jseg: they are: what the journal knows of the segment
 * @data: it wrote to the data file
 * @lost_syncs: commits.lost_syncs when it began to write
 * @io_done: what to do when its I/O is over
 */
struct oss_part {
	struct oss_store *store;
	struct oss_op *op;
	struct oss_seg *seg;
	struct oss_part *next;
	struct oss_part *sibling;
	uint32_t off;
	uint32_t len;
	size_t bulk_off;
	struct oss_rec *rec;
	struct oss_rec *base;
	uint32_t gen;
	uint8_t act[OSS_SEG_BLOCKS];
	char *mem[OSS_SEG_BLOCKS];
	struct oss_edge edges[2];
	unsigned int nedges;
	struct weft_buf *bounce;
	struct oss_runs alloced;
	struct oss_runs freed;
	int delta;
	unsigned int nsmall;
	struct oss_jseg *jseg;
	bool data;
	uint32_t lost_syncs;

	struct weft_io *ios;
	struct iovec *iov;
	unsigned int io_pending;
	int io_err;
	void (*io_done)(struct oss_part *p, int err);
};

/* A list of parts with a tail. */
struct oss_part_list {
	struct oss_part *head, **tail;
};

static inline void oss_list_init(struct oss_part_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static inline void oss_list_add(struct oss_part_list *l, struct oss_part *p)
{
	p->next = NULL;
	*l->tail = p;
	l->tail = &p->next;
}

/**
 * struct oss_commits - the commit group that is running and the one that is being filled
 * @open: changes that wait for the next group
 * @running: changes of the group that is being made durable
 * @busy: a group or a repair is running
 * @batch: the group's records; empty when all its changes are small
 * @err: outcome of the worker
 * @sync: sync of the data file
 * @lost_syncs: syncs of the data file that failed: what was being written then may be lost, and a
 *	later sync does not say so again
 * @work: writing the journal and the RocksDB
 * @failed: not 0: a commit failed in such a way that the stored records are uncertain; changes
 *	are refused with it until they are repaired
 * @broken: segments whose stored record is uncertain
 * @limbo: blocks that such records may use
 * @timer: next attempt to repair
 */
struct oss_commits {
	struct oss_part_list open;
	struct oss_part_list running;
	bool busy;
	struct weft_kv_batch *batch;
	int err;
	struct weft_io sync;
	uint32_t lost_syncs;
	struct weft_work work;
	int failed;
	struct oss_seg *broken;
	struct oss_runs limbo;
	struct weft_timer timer;
};

/**
 * struct oss_smalls - segments that have small blocks
 * @off: there shall be none
 * @wait_ns: time from a small write to its move
 * @head: the segments; each is held
 * @count: how many
 * @full: one of them may have no more small blocks, or a log of the journal is to be drained
 * @op: moves them to the data file
 * @busy: @op is running
 * @round: how often it has begun
 * @drain: the round that drains a log, 0: none
 * @waiters: operations that read the stored records and wait for a round
 * @timer: when the next ones are moved
 */
struct oss_smalls {
	bool off;
	uint64_t wait_ns;
	struct oss_seg *head, **tail;
	unsigned int count;
	bool full;
	struct oss_op op;
	bool busy;
	uint64_t round;
	uint64_t drain;
	struct oss_op *waiters;
	struct weft_timer timer;
};

/**
 * struct oss_jseg - a segment of which the journal has deltas, or is to get some
 * @users: changes that may add to them
 * @turn: of each log: in which of its turns the segment's last delta is; 0: none
 * @empty: the stored record is an empty one
 */
struct oss_jseg {
	struct oss_key key;
	struct oss_jseg *next;
	unsigned int users;
	uint64_t turn[2];
	bool empty;
};

#define OSS_JOURNAL_BUCKETS 4096

/**
 * struct oss_journal - the journal of small writes
 * @log: its two logs
 * @cur: the one in use
 * @drained: nobody needs the other one
 * @turn: of each log: number of its turn
 * @seq: number of the last record that stays
 * @room: bytes that @admitted may reach
 * @admitted: what changes that are under way may need
 * @segs: hash table of the segments with deltas
 * @gone: former ones of which empty records are stored, to be deleted with the next group
 * @buf: deltas of a group
 * @len: bytes of them, 0: the group has none
 * @begin: the other log has its turn with this group
 * @begun: it has had; the loop does not know yet
 * @uncertain: the record of a group may be there that has not ended well
 */
struct oss_journal {
	struct weft_kvlog *log[2];
	unsigned int cur;
	bool drained;
	uint64_t turn[2];
	uint64_t seq;
	size_t room;
	size_t admitted;
	struct oss_jseg *segs[OSS_JOURNAL_BUCKETS];
	struct oss_jseg *gone;
	uint8_t *buf;
	size_t len;
	bool begin;
	bool begun;
	bool uncertain;
};

struct oss_store {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_disk *disk;
	struct weft_kv *kv;
	uint64_t data_offset;
	struct oss_alloc alloc;
	struct oss_store_stats stats;

	/* seg.c */
	struct oss_seg **hash;
	uint32_t hash_mask;
	struct oss_seg lru, active; /* list heads */
	unsigned int ncached, max_cached;

	/* part.c */
	struct oss_part_list space_waiters;
	uint64_t pending_free; /* blocks that will be free when a commit or a read is over */
	unsigned int nops;

	struct oss_commits commits;
	struct oss_smalls smalls;
	struct oss_journal journal;
	uint64_t version; /* number of the last change */

	/* damage.c */
	struct oss_key *damaged;
	size_t ndamaged;
};

/* --- seg.c: cache of segments, records, locks */

int oss_segs_init(struct oss_store *s, unsigned int max_cached);
void oss_segs_fini(struct oss_store *s);
int oss_seg_get(struct oss_store *s, const struct oss_key *key, struct oss_seg **out);
void oss_seg_put(struct oss_store *s, struct oss_seg *seg);

/* The segment's changes run in the order of these calls; begin() is called with the lock held. */
void oss_seg_lock(struct oss_store *s, struct oss_part *p);
void oss_seg_unlock(struct oss_store *s, struct oss_part *p);

struct oss_rec *oss_rec_alloc(const struct oss_rec *from);
struct oss_rec *oss_rec_get(struct oss_rec *r);
void oss_rec_free(struct oss_rec *r);
void oss_rec_put(struct oss_store *s, struct oss_rec *r);
void oss_rec_supersede(struct oss_store *s, struct oss_seg *seg, struct oss_rec *rec,
		       struct oss_runs *freed);

/* --- io.c: blocks of a part */

/*
 * Read or write the blocks of @p that have memory and are written in @rec. Returns the number of
 * requests made: 0: there was nothing to do and done() is not called; or -ENOMEM.
 */
int oss_part_io(struct oss_part *p, enum weft_io_op op, const struct oss_rec *rec,
		void (*done)(struct oss_part *p, int err));
int oss_part_verify(struct oss_part *p, const struct oss_rec *rec);
void oss_part_io_fini(struct oss_part *p);

/* --- part.c: changes */

void oss_change_submit(struct oss_store *s, struct oss_op *op);
void oss_part_begin(struct oss_part *p);
void oss_part_end(struct oss_part *p, int err);
void oss_part_free(struct oss_part *p);
/* oss_part_new() - a part of @op within one segment, on which it holds a reference */
int oss_part_new(struct oss_store *s, struct oss_op *op, const struct oss_key *key, uint32_t off,
		 uint32_t len, struct oss_part **out);
int oss_part_add(struct oss_store *s, struct oss_op *op, const struct oss_key *key, uint32_t off,
		 uint32_t len, size_t bulk_off);
void oss_space_wake(struct oss_store *s);
void oss_op_start(struct oss_store *s, struct oss_op *op);
void oss_op_put(struct oss_op *op, int err);

/* --- truncate.c, read.c, seek.c */

void oss_truncate_submit(struct oss_store *s, struct oss_op *op);
void oss_truncate_step(struct oss_op *op);
void oss_read_submit(struct oss_store *s, struct oss_op *op);
void oss_seek_submit(struct oss_store *s, struct oss_op *op);

/* --- damage.c: records that were damaged at the start */

int oss_damage_add(struct oss_store *s, const struct oss_key *key, const char *what);
bool oss_damage_has(struct oss_store *s, const struct oss_key *key);
void oss_damage_del(struct oss_store *s, const struct oss_key *key);
void oss_damage_fini(struct oss_store *s);

/* --- small.c: small writes */

void oss_small_init(struct oss_store *s, bool off, uint64_t wait_ns);
void oss_small_fini(struct oss_store *s);
/* Decides whether the blocks that a change writes are small (p->jseg), or go to the data file. */
void oss_small_admit(struct oss_part *p);
/* A block becomes small, with the reference @buf, or (NULL) is no longer. Returns 0 or -ENOMEM. */
int oss_small_set(struct oss_rec *r, uint32_t b, struct weft_buf *buf);
/* It becomes small with a copy of @bytes. Returns 0, -EAGAIN (the pool is empty) or -ENOMEM. */
int oss_small_copy(struct oss_store *s, struct oss_rec *r, uint32_t b, const void *bytes);
void oss_small_queue(struct oss_store *s, struct oss_seg *seg);
/* All that is small now is to be settled soon: then oss_journal_drained(). */
void oss_small_drain(struct oss_store *s);
/*
 * Do the stored records lack something of @op's object? Then op->settled() is called when they have
 * what was acknowledged before, or with -EAGAIN.
 */
bool oss_small_wait(struct oss_store *s, struct oss_op *op);

/* --- journal.c, replay.c: deltas of small writes */

int oss_journal_open(struct oss_store *s, const char *dir, bool create, char err[OSS_ERR_MAX]);
int oss_journal_replay(struct oss_store *s, const char *data_path, char err[OSS_ERR_MAX]);
void oss_journal_fini(struct oss_store *s);
/* Makes room for a change of @nblocks blocks (p->jseg), until oss_journal_release(), if it can. */
void oss_journal_admit(struct oss_part *p, unsigned int nblocks);
void oss_journal_release(struct oss_part *p);
/* The changes of a group; then oss_journal_write() on a worker, then oss_journal_done(). */
void oss_journal_build(struct oss_store *s, struct oss_part *head);
int oss_journal_write(struct oss_store *s, struct oss_part *head);
/* Takes a group back that has failed; repeated by the repair when it fails. On a worker. */
int oss_journal_cancel(struct oss_store *s);
void oss_journal_done(struct oss_store *s, int err);
/* Has the journal deltas of a segment, whose record is now stored, @empty or not? */
bool oss_journal_keeps(struct oss_store *s, const struct oss_key *key, bool empty);
/* Deletes empty records that nobody needs. */
void oss_journal_clean(struct oss_store *s, struct weft_kv_batch *batch);
void oss_journal_drained(struct oss_store *s);

/* --- commit.c: group commit */

int oss_commits_init(struct oss_store *s);
void oss_commits_fini(struct oss_store *s);
void oss_commit_add(struct oss_store *s, struct oss_part *p);
void oss_commit_kick(struct oss_store *s);
bool oss_commits_idle(const struct oss_store *s);
/* Stores a record, or deletes it when it is empty and need not stay so. */
void oss_record_put(struct oss_store *s, struct weft_kv_batch *batch, const struct oss_key *key,
		    const struct oss_rec *rec);

#endif
