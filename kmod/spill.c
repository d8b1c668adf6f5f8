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
 * Protection: i_rwsem held by the caller keeps writers and truncation away. Folios held by
 * reference are not reclaimed, so that nobody reads the inline part from chunks before it is there.
 * A WRITE_INLINE in flight does no harm: its folios are written again.
 */
#include "internal.h"

#define WEFT_SPILL_FOLIOS (WEFT_INLINE_MAX / PAGE_SIZE)

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

/* Bring in and hold the folios of the first @size bytes. Return: their number or an error. */
static int weft_spill_hold(struct inode *inode, u64 size, struct folio **folios)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	pgoff_t index = 0;
	int n = 0;

	while ((u64)index * PAGE_SIZE < size && n < WEFT_SPILL_FOLIOS) {
		folio = read_mapping_folio(mapping, index, NULL);
		if (IS_ERR(folio)) {
			while (n)
				folio_put(folios[--n]);
			return PTR_ERR(folio);
		}
		folios[n++] = folio;
		index = folio->index + folio_nr_pages(folio);
	}
	return n;
}

static int weft_spill_move(struct inode *inode, u64 size)
{
	struct weft_inode *wi = WEFT_I(inode);
	struct folio **folios;
	int i, n, ret;

	folios = kcalloc(WEFT_SPILL_FOLIOS, sizeof(*folios), GFP_KERNEL);
	if (!folios)
		return -ENOMEM;
	n = weft_spill_hold(inode, size, folios);
	ret = min(n, 0);
	if (!ret)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_BEGIN, 0);
	if (!ret && wi->server_size > size)
		ret = -EAGAIN; /* another client has just written inline */
	if (ret)
		goto out_put;
	set_bit(WEFT_I_SPILLED, &wi->flags);
	for (i = 0; i < n; i++) {
		folio_lock(folios[i]);
		if (folios[i]->mapping == inode->i_mapping)
			folio_mark_dirty(folios[i]);
		folio_unlock(folios[i]);
	}
	ret = n ? filemap_write_and_wait_range(inode->i_mapping, 0, size - 1) : 0;
	if (!ret)
		ret = weft_wait_writes(inode);
	if (!ret)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_DONE, size);
	if (ret)
		clear_bit(WEFT_I_SPILLED, &wi->flags);
out_put:
	while (n > 0)
		folio_put(folios[--n]);
	kfree(folios);
	return ret;
}

/**
 * weft_spill() - move an inline file to chunks
 * @inode: the file, i_rwsem held
 *
 * Return: 0 or a negative errno; then the file is still inline.
 */
int weft_spill(struct inode *inode)
{
	struct weft_inode *wi = WEFT_I(inode);
	u64 size;
	int ret;

	if (!weft_is_inline(wi))
		return 0;
	/* Bytes that are only in WRITE_INLINE in flight count as well. */
	size = min_t(u64, max_t(u64, wi->server_size, READ_ONCE(wi->inflight) ?
					i_size_read(inode) : 0), WEFT_INLINE_MAX);
	ret = -EINVAL;
	if (!size)
		ret = weft_spill_send(inode, WEFT_WRITE_SPILL_BEGIN | WEFT_WRITE_SPILL_DONE, 0);
	return ret == -EINVAL ? weft_spill_move(inode, size) : ret;
}
