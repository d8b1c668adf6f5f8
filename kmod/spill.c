// SPDX-License-Identifier: GPL-2.0
/*
 * A file outgrows the metadata server: its bytes move to chunks.
 *
 * SPILL BEGIN tells the server, which goes on to hold the inline bytes; from then on this client
 * writes the file's folios to chunks (WEFT_I_SPILLED). The folios of the inline part are brought
 * in, held, made dirty and written; when they are durable SPILL DONE makes the server forget the
 * inline bytes. If the client dies in between, or fails, the file is still inline, and the next
 * SPILL BEGIN has the server cut what the first one left in chunks. A file that is empty there has
 * nothing to move: one request.
 *
 * When somebody changes the inline bytes or the size meanwhile (another client, or a WRITE_INLINE
 * of ours that was late), the server refuses SPILL DONE: the folios that were dirty are made dirty
 * again, what others wrote is brought in, and it begins again, a few times. Who gives up says so
 * (ABORT), so that others need not wait for the end of its session; one that is killed cannot.
 *
 * Protection: i_rwsem held by the caller keeps writers and truncation away. Folios held by
 * reference are not reclaimed, so that nobody reads the inline part from chunks before it is there.
 */
#include "internal.h"

#define WEFT_SPILL_FOLIOS (WEFT_INLINE_MAX / PAGE_SIZE)
#define WEFT_SPILL_TRIES 8

/* The folios of the inline part. */
struct weft_spill {
	int n;
	struct folio *folios[WEFT_SPILL_FOLIOS];
	DECLARE_BITMAP(dirty, WEFT_SPILL_FOLIOS); /* that the server does not have */
};

static int weft_spill_send(struct inode *inode, u32 flags, u64 size)
{
	struct weft_sb *wsb = weft_isb(inode);
	const struct weft_attr_rep *rep;
	struct weft_write_req *req;
	struct weft_rpc *rpc;
	u64 stamp = weft_stamp(wsb, inode->i_ino);
	int ret;

	rpc = weft_rpc_alloc_ns(wsb->fs, WEFT_OP_SPILL, NULL, inode->i_ino, NULL, NULL, GFP_KERNEL);
	if (IS_ERR(rpc))
		return PTR_ERR(rpc);
	req = rpc->body;
	req->flags = cpu_to_le32(flags);
	req->size = cpu_to_le64(size);
	ret = weft_modify(wsb, rpc);
	if (!ret) {
		rep = weft_rpc_reply(rpc);
		weft_attr_apply(inode, &rep->attr, le64_to_cpu(rep->prev_data), stamp);
	}
	weft_rpc_put(rpc);
	return ret;
}

static void weft_spill_drop(struct weft_spill *sp)
{
	while (sp->n)
		folio_put(sp->folios[--sp->n]);
}

/* Bring in and hold the folios of the first @size bytes; none is held when it fails. */
static int weft_spill_hold(struct inode *inode, u64 size, struct weft_spill *sp)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	pgoff_t index = 0;

	bitmap_zero(sp->dirty, WEFT_SPILL_FOLIOS);
	while ((u64)index * PAGE_SIZE < size && sp->n < WEFT_SPILL_FOLIOS) {
		folio = read_mapping_folio(mapping, index, NULL);
		if (IS_ERR(folio)) {
			weft_spill_drop(sp);
			return PTR_ERR(folio);
		}
		/* What a mapping changes from now on may be written, to chunks only. */
		if (folio_test_dirty(folio) || mapping_writably_mapped(mapping))
			__set_bit(sp->n, sp->dirty);
		sp->folios[sp->n++] = folio;
		index = folio->index + folio_nr_pages(folio);
	}
	return 0;
}

/* Return: false if one of them is not in the page cache any more. */
static bool weft_spill_dirty(struct inode *inode, struct weft_spill *sp, bool all)
{
	struct folio *folio;
	bool there = true;
	int i;

	for (i = 0; i < sp->n; i++) {
		if (!all && !test_bit(i, sp->dirty))
			continue;
		folio = sp->folios[i];
		folio_lock(folio);
		if (folio->mapping == inode->i_mapping)
			folio_mark_dirty(folio);
		else
			there = false;
		folio_unlock(folio);
	}
	return there;
}

/*
 * From here on the file's folios go to chunks. All of the inline part has to, so one that a reader
 * has dropped meanwhile (weft_data_revalidate()) is read again.
 */
static int weft_spill_take(struct inode *inode, u64 size, struct weft_spill *sp)
{
	struct weft_inode *wi = WEFT_I(inode);
	int ret;

	for (;;) {
		ret = weft_spill_hold(inode, size, sp);
		if (ret)
			return ret;
		set_bit(WEFT_I_SPILLED, &wi->flags);
		if (weft_spill_dirty(inode, sp, true))
			return 0;
		clear_bit(WEFT_I_SPILLED, &wi->flags);
		weft_spill_drop(sp);
	}
}

static int weft_spill_write(struct inode *inode, u64 size, struct weft_spill *sp)
{
	struct weft_inode *wi = WEFT_I(inode);
	int ret;

	spin_lock(&wi->lock);
	wi->bytes_delta = 0; /* of an earlier attempt, whose chunks are cut */
	spin_unlock(&wi->lock);
	ret = weft_spill_take(inode, size, sp);
	if (ret)
		return ret;
	if (sp->n)
		ret = weft_write_range(inode, 0, size - 1);
	if (!ret)
		ret = weft_wait_writes(inode);
	if (!ret)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_DONE, size);
	if (ret) {
		/* What was dirty before is not on the metadata server; the rest is. */
		clear_bit(WEFT_I_SPILLED, &wi->flags);
		weft_spill_dirty(inode, sp, false);
	}
	weft_spill_drop(sp);
	return ret;
}

static int weft_spill_move(struct inode *inode, u64 size)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct weft_spill *sp;
	int ret;

	sp = kzalloc(sizeof(*sp), GFP_KERNEL);
	if (!sp)
		return -ENOMEM;
	ret = weft_spill_hold(inode, size, sp);
	weft_spill_drop(sp);
	/* Behind BEGIN a WRITE_INLINE of ours would make the spill void. */
	if (!ret)
		ret = weft_wait_writes(inode);
	if (!ret)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_BEGIN, 0);
	/* Dropping pages waits for writeback as well, but could not be killed. */
	if (!ret)
		ret = weft_wait_folios(inode, 0, LLONG_MAX);
	if (ret)
		goto out_free;
	/* Another client may have just written inline; if one does from now on, DONE is refused. */
	if (test_and_clear_bit(WEFT_I_DATA_STALE, &wi->flags) &&
	    weft_drop_folios(inode, 0, LLONG_MAX) == -EINTR) { /* what is dirty stays */
		set_bit(WEFT_I_DATA_STALE, &wi->flags);
		ret = -EINTR;
		goto out_free;
	}
	size = min_t(u64, max(wi->server_size, size), WEFT_INLINE_MAX);
	ret = weft_spill_write(inode, size, sp);
out_free:
	kfree(sp);
	return ret;
}

static int weft_spill_once(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 size;
	int ret = -EINVAL;

	/* Bytes that are only in WRITE_INLINE in flight count as well. */
	size = min_t(u64, max_t(u64, wi->server_size, READ_ONCE(wi->inflight) ?
					i_size_read(inode) : 0), WEFT_INLINE_MAX);
	if (!size)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE, 0);
	return ret == -EINVAL ? weft_spill_move(inode, size) : ret;
}

/**
 * weft_spill() - move an inline file to chunks
 * @inode: the file, i_rwsem held
 *
 * Return: 0 or a negative errno; then the file is still inline.
 */
int weft_spill(struct inode *inode)
{
	int tries = 0, ret = 0;

	while (!ret && weft_is_inline(WEFT_I(inode))) {
		ret = weft_spill_once(inode);
		if (ret != -WEFT_ELAYOUT)
			break;
		ret = ++tries < WEFT_SPILL_TRIES ? weft_attr_fetch(inode) : -EAGAIN;
		if (!ret)
			ret = weft_data_revalidate(inode);
	}
	/* None of our writes may be under way when others begin. */
	if (ret && !weft_wait_writes(inode))
		weft_spill_send(inode, WEFT_WRITE_SPILL_ABORT, 0);
	return ret;
}
