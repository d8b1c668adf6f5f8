// SPDX-License-Identifier: Apache-2.0
/*
 * A prepared transaction as a record: the results that were promised to the coordinator, and the
 * writes that COMMIT makes. Everything in it stays locked until the decision, so the writes are
 * still right then, also after a restart.
 *
 *	struct log_head, results, nodes (struct log_node), writes (struct log_write, key, value)
 */
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

struct log_head {
	__le32 version;
	__le32 nresults, nnodes, nwrites;
};
WEFT_ASSERT_SIZE(struct log_head, 16);

struct log_node {
	__le32 dead;
	__le32 reserved;
	struct mds_inode_rec rec;
};
WEFT_ASSERT_SIZE(struct log_node, 176);

struct log_write {
	__u8 cf;
	__u8 del;
	__le16 klen;
	__le32 vlen;
};
WEFT_ASSERT_SIZE(struct log_write, 8);

static char *put(char *p, const void *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

static size_t log_size(const struct mds_tx *tx, u32 nresults, struct log_head *h)
{
	size_t len = sizeof(*h) + nresults * sizeof(struct weft_attr_rep);
	const struct mds_node *n;
	const struct mds_write *w;
	u32 nnodes = 0, nwrites = 0;

	for (n = tx->nodes; n; n = n->next, nnodes++)
		len += sizeof(struct log_node);
	for (w = tx->writes; w; w = w->next, nwrites++)
		len += sizeof(struct log_write) + w->klen + w->vlen;
	*h = (struct log_head){ .version = cpu_to_le32(MDS_REC_VERSION),
				.nresults = cpu_to_le32(nresults), .nnodes = cpu_to_le32(nnodes),
				.nwrites = cpu_to_le32(nwrites) };
	return len;
}

int mds_log_encode(const struct mds_tx *tx, const struct mds_sub *subs, u32 n, char **log,
		   size_t *len)
{
	const struct mds_node *node;
	const struct mds_write *w;
	struct log_head h;
	char *p;
	u32 k;

	*len = log_size(tx, n, &h);
	*log = p = malloc(*len);
	if (!p)
		return -ENOMEM;
	p = put(p, &h, sizeof(h));
	for (k = 0; k < n; k++)
		p = put(p, &subs[k].result, sizeof(subs[k].result));
	for (node = tx->nodes; node; node = node->next) {
		struct log_node ln = { .dead = cpu_to_le32(node->dead) };

		mds_inode_encode(&node->i, &ln.rec);
		p = put(p, &ln, sizeof(ln));
	}
	for (w = tx->writes; w; w = w->next) {
		struct log_write lw = { .cf = w->cf, .del = w->del,
					.klen = cpu_to_le16(w->klen),
					.vlen = cpu_to_le32(w->vlen) };

		p = put(p, &lw, sizeof(lw));
		p = put(p, w->buf, w->klen + w->vlen);
	}
	return 0;
}

static int log_open(struct weft_cursor *c, const char *log, size_t len, struct log_head *h)
{
	weft_cur_init(c, log, len);
	if (!weft_cur_copy(c, h, sizeof(*h)) || le32_to_cpu(h->version) != MDS_REC_VERSION ||
	    le32_to_cpu(h->nresults) > WEFT_TXN_SUBS_MAX)
		return -EUCLEAN;
	return 0;
}

const char *mds_log_results(const char *log, size_t len, size_t *bytes)
{
	struct weft_cursor c;
	struct log_head h;

	if (log_open(&c, log, len, &h))
		return NULL;
	*bytes = le32_to_cpu(h.nresults) * sizeof(struct weft_attr_rep);
	return weft_cur_take(&c, *bytes);
}

static int replay_node(struct mds_tx *tx, struct weft_cursor *c)
{
	struct mds_node *n;
	struct log_node ln;
	u64 ino;
	int ret;

	if (!weft_cur_copy(c, &ln, sizeof(ln)))
		return -EUCLEAN;
	ino = le64_to_cpu(ln.rec.attr.ino);
	ret = mds_tx_new(tx, ino, &n);
	if (ret)
		return ret;
	n->dead = ln.dead;
	return mds_inode_decode(ino, &ln.rec, sizeof(ln.rec), &n->i);
}

static int replay_write(struct mds_tx *tx, struct weft_cursor *c)
{
	const char *key, *val;
	struct log_write lw;
	size_t klen, vlen;

	if (!weft_cur_copy(c, &lw, sizeof(lw)))
		return -EUCLEAN;
	klen = le16_to_cpu(lw.klen);
	vlen = le32_to_cpu(lw.vlen);
	key = weft_cur_take(c, klen);
	val = weft_cur_take(c, vlen);
	if (!key || !val || lw.cf >= MDS_NCF)
		return -EUCLEAN;
	if (lw.del)
		return mds_tx_del(tx, lw.cf, key, klen);
	return mds_tx_put(tx, lw.cf, key, klen, val, vlen);
}

int mds_log_replay(struct mds_tx *tx, const char *log, size_t len)
{
	struct weft_cursor c;
	struct log_head h;
	u32 k;
	int ret;

	ret = log_open(&c, log, len, &h);
	if (ret)
		return ret;
	weft_cur_take(&c, le32_to_cpu(h.nresults) * sizeof(struct weft_attr_rep));
	for (k = 0; !ret && k < le32_to_cpu(h.nnodes); k++)
		ret = replay_node(tx, &c);
	for (k = 0; !ret && k < le32_to_cpu(h.nwrites); k++)
		ret = replay_write(tx, &c);
	if (!ret && !weft_cur_done(&c))
		ret = -EUCLEAN;
	return ret;
}
