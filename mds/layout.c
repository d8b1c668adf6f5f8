// SPDX-License-Identifier: Apache-2.0
/*
 * The attribute weft.layout: "pool=NAME chunk=BYTES width=N inline=BYTES".
 *
 * Of a directory: what files made in it get from then on. Of a file: where its chunks are; it can
 * be set only as long as the file has none. Keys that are left out keep their value; anything that
 * is not understood, or that the pool does not allow, is refused with EINVAL.
 *
 * Pools of one name are generations: each has the groups of the one before and some more. New files
 * get the last one; files keep theirs, so that their chunks stay where they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mds/mds.h"

int mds_layout_get(struct mds_op *op, const struct mds_inode *i, char *buf, size_t len)
{
	const struct weft_map_pool *p = weft_map_pool(&op->m->map->view, i->pool);

	return snprintf(buf, len, "pool=%.32s chunk=%llu width=%u inline=%u",
			p ? (const char *)p->name : "?", 1ull << i->chunk_shift, i->width,
			i->inline_max);
}

/* The last one of that name. */
static const struct weft_map_pool *pool_by_name(struct mds *m, const char *name, size_t len)
{
	const struct weft_map_view *v = &m->map->view;
	u32 k;

	for (k = v->npools; k--;)
		if (strnlen((const char *)v->pools[k].name, sizeof(v->pools[k].name)) == len &&
		    !memcmp(v->pools[k].name, name, len))
			return &v->pools[k];
	return NULL;
}

const struct weft_map_pool *mds_pool_newest(struct mds *m, u32 id)
{
	const struct weft_map_pool *p = weft_map_pool(&m->map->view, id);

	return p ? pool_by_name(m, (const char *)p->name,
				strnlen((const char *)p->name, sizeof(p->name))) :
		   NULL;
}

static int parse_number(const char *text, u64 max, u64 *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || end == text || *end || *text == '-' || *out > max ? -EINVAL : 0;
}

static int set_chunk(struct mds_inode *i, u64 bytes)
{
	u32 shift;

	for (shift = WEFT_CHUNK_SHIFT_MIN; shift <= WEFT_CHUNK_SHIFT_MAX; shift++) {
		if (bytes == 1ull << shift) {
			i->chunk_shift = shift;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_one(struct mds *m, struct mds_inode *i, const char *key, const char *val)
{
	const struct weft_map_pool *p;
	u64 nr;

	if (!strcmp(key, "pool")) {
		p = pool_by_name(m, val, strlen(val));
		if (p)
			i->pool = le32_to_cpu(p->id);
		return p ? 0 : -EINVAL;
	}
	if (parse_number(val, UINT32_MAX, &nr))
		return -EINVAL;
	if (!strcmp(key, "chunk"))
		return set_chunk(i, nr);
	if (!strcmp(key, "width")) {
		i->width = nr;
		return nr > UINT16_MAX ? -EINVAL : 0;
	}
	if (!strcmp(key, "inline")) {
		i->inline_max = nr;
		return nr > WEFT_INLINE_MAX ? -EINVAL : 0;
	}
	return -EINVAL;
}

static int check_width(struct mds *m, struct mds_inode *i)
{
	const struct weft_map_pool *p = weft_map_pool(&m->map->view, i->pool);
	u32 n = p ? le32_to_cpu(p->ngroups) : 0;

	if (!n || i->width > n)
		return -EINVAL;
	if (!i->width && mds_is_reg(i->mode))
		i->width = n;
	return 0;
}

int mds_layout_set(struct mds_op *op, struct mds_inode *i, const char *text, size_t len)
{
	char buf[256], *save, *word, *val;
	struct mds_inode want = *i;
	int ret = 0;

	if (!mds_is_dir(i->mode) && !mds_is_reg(i->mode))
		return -EINVAL;
	if (mds_is_reg(i->mode) && (i->size || i->bytes_used || i->data_version > 1 ||
				   (i->lflags & WEFT_LAYOUT_SPILLING)))
		return -EBUSY;
	if (!len || len >= sizeof(buf) || memchr(text, 0, len))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = 0;
	for (word = strtok_r(buf, " \n", &save); word && !ret; word = strtok_r(NULL, " \n", &save)) {
		val = strchr(word, '=');
		if (!val)
			return -EINVAL;
		*val++ = 0;
		ret = set_one(op->m, &want, word, val);
	}
	if (!ret)
		ret = check_width(op->m, &want);
	if (ret)
		return ret;
	if (mds_is_reg(i->mode))
		want.lflags = want.inline_max ? WEFT_LAYOUT_INLINE : 0;
	*i = want;
	return 0;
}
