// SPDX-License-Identifier: Apache-2.0
/*
 * The buffer pool and lists of pieces.
 *
 * Slabs of 4 MiB are mapped as they are needed and cut into buffers of one size class. At the
 * pool's limit a slab whose buffers are all free is cut anew, or a larger free buffer is given, so
 * that a change of load cannot starve a class for ever. NULL means: come back when something
 * has been put.
 *
 * Each pool has a lock; reference counts are atomic.
 */
#include "common/buf.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_LEN WEFT_BUF_MAX
#define CLASSES 11 /* 4 KiB << 0 .. 4 KiB << 10 */

struct slab {
	struct weft_slab pub;
	struct weft_buf *bufs; /* SLAB_LEN / size of its class */
	unsigned int cls;
	unsigned int out;
};

struct weft_pool {
	pthread_mutex_t lock;
	size_t limit;
	size_t mapped;
	size_t used;
	struct slab *slabs;
	struct weft_buf *free[CLASSES];
	void (*watch)(void *arg, void *mem, size_t len, bool gone);
	void *watch_arg;
};

static size_t class_size(unsigned int cls)
{
	return (size_t)WEFT_BUF_ALIGN << cls;
}

int weft_pool_create(size_t limit, struct weft_pool **out)
{
	struct weft_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->limit = limit < SLAB_LEN ? SLAB_LEN : limit;
	*out = p;
	return 0;
}

void weft_pool_destroy(struct weft_pool *p)
{
	struct slab *s;

	if (!p)
		return;
	while ((s = p->slabs)) {
		p->slabs = (struct slab *)s->pub.next;
		if (p->watch)
			p->watch(p->watch_arg, s->pub.base, SLAB_LEN, true);
		if (s->pub.priv_free)
			s->pub.priv_free(&s->pub);
		munmap(s->pub.base, SLAB_LEN + WEFT_SLAB_TAIL);
		free(s->bufs);
		free(s);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void weft_pool_watch(struct weft_pool *p,
		     void (*slab)(void *arg, void *mem, size_t len, bool gone), void *arg)
{
	struct slab *s;

	pthread_mutex_lock(&p->lock);
	p->watch = slab;
	p->watch_arg = arg;
	for (s = p->slabs; slab && s; s = (struct slab *)s->pub.next)
		slab(arg, s->pub.base, SLAB_LEN, false);
	pthread_mutex_unlock(&p->lock);
}

size_t weft_pool_used(struct weft_pool *p)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = p->used;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* Takes the buffers of a slab, all free, off their list. */
static void slab_withdraw(struct weft_pool *p, struct slab *s)
{
	struct weft_buf **at = &p->free[s->cls];

	while (*at) {
		if ((*at)->slab == &s->pub)
			*at = (*at)->next;
		else
			at = &(*at)->next;
	}
}

/* Cuts a slab, new or unused, into free buffers of a class. */
static int slab_cut(struct weft_pool *p, struct slab *s, unsigned int cls)
{
	size_t size = class_size(cls), n = SLAB_LEN / size, i;
	struct weft_buf *bufs = calloc(n, sizeof(*bufs));

	if (!bufs)
		return -ENOMEM;
	if (s->bufs)
		slab_withdraw(p, s);
	free(s->bufs);
	s->bufs = bufs;
	s->cls = cls;
	for (i = n; i-- > 0;) {
		bufs[i].data = s->pub.base + i * size;
		bufs[i].size = size;
		bufs[i].slab = &s->pub;
		bufs[i].pool = p;
		bufs[i].next = p->free[cls];
		p->free[cls] = &bufs[i];
	}
	return 0;
}

static int slab_new(struct weft_pool *p, unsigned int cls)
{
	struct slab *s;

	if (p->mapped + SLAB_LEN > p->limit)
		return -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->pub.len = SLAB_LEN;
	s->pub.base = mmap(NULL, SLAB_LEN + WEFT_SLAB_TAIL, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->pub.base == MAP_FAILED)
		goto out_free;
	if (slab_cut(p, s, cls))
		goto out_unmap;
	s->pub.next = p->slabs ? &p->slabs->pub : NULL;
	p->slabs = s;
	p->mapped += SLAB_LEN;
	if (p->watch)
		p->watch(p->watch_arg, s->pub.base, SLAB_LEN, false);
	return 0;

out_unmap:
	munmap(s->pub.base, SLAB_LEN + WEFT_SLAB_TAIL);
out_free:
	free(s);
	return -ENOMEM;
}

static int slab_recut(struct weft_pool *p, unsigned int cls)
{
	struct slab *s;

	for (s = p->slabs; s; s = (struct slab *)s->pub.next)
		if (!s->out)
			return slab_cut(p, s, cls);
	return -ENOMEM;
}

static struct weft_buf *take(struct weft_pool *p, unsigned int cls)
{
	struct weft_buf *b;
	unsigned int c;

	if (!p->free[cls] && slab_new(p, cls) && slab_recut(p, cls)) {
		for (c = cls + 1; c < CLASSES && !p->free[c]; c++)
			;
		if (c == CLASSES)
			return NULL;
		cls = c;
	}
	b = p->free[cls];
	p->free[cls] = b->next;
	b->refs = 1;
	((struct slab *)b->slab)->out++;
	p->used += b->size;
	return b;
}

struct weft_buf *weft_buf_get(struct weft_pool *p, size_t size)
{
	unsigned int cls = 0;
	struct weft_buf *b;

	if (!size || size > WEFT_BUF_MAX)
		return NULL;
	while (class_size(cls) < size)
		cls++;
	pthread_mutex_lock(&p->lock);
	b = take(p, cls);
	pthread_mutex_unlock(&p->lock);
	return b;
}

struct weft_buf *weft_buf_ref(struct weft_buf *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void weft_buf_put(struct weft_buf *b)
{
	struct weft_pool *p;
	struct slab *s;

	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	p = b->pool;
	s = (struct slab *)b->slab;
	pthread_mutex_lock(&p->lock);
	s->out--;
	p->used -= b->size;
	b->next = p->free[s->cls];
	p->free[s->cls] = b;
	pthread_mutex_unlock(&p->lock);
}

int weft_sg_add(struct weft_sg *sg, struct weft_buf *buf, void *ptr, size_t len)
{
	struct weft_sge *e = sg->e;
	unsigned int cap;

	if (!len)
		return 0;
	if (sg->n == sg->cap) {
		cap = sg->cap ? 2 * sg->cap : 4;
		e = realloc(sg->e, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		sg->e = e;
		sg->cap = cap;
	}
	e += sg->n++;
	e->buf = buf ? weft_buf_ref(buf) : NULL;
	e->ptr = ptr;
	e->len = len;
	sg->len += len;
	return 0;
}

/* Drops the pieces behind the first n. */
static void sg_cut(struct weft_sg *sg, unsigned int n)
{
	while (sg->n > n) {
		struct weft_sge *e = &sg->e[--sg->n];

		sg->len -= e->len;
		weft_buf_put(e->buf);
	}
}

int weft_sg_alloc(struct weft_sg *sg, struct weft_pool *pool, size_t len)
{
	unsigned int before = sg->n;
	struct weft_buf *b;
	size_t n;
	int ret;

	while (len) {
		n = len < WEFT_BUF_MAX ? len : WEFT_BUF_MAX;
		b = weft_buf_get(pool, n);
		ret = b ? weft_sg_add(sg, b, b->data, n) : -ENOMEM;
		weft_buf_put(b);
		if (ret) {
			sg_cut(sg, before);
			return ret;
		}
		len -= n;
	}
	return 0;
}

int weft_sg_slice(struct weft_sg *sg, const struct weft_sg *from, size_t off, size_t len)
{
	unsigned int before = sg->n, i;
	size_t n;
	int ret;

	if (off > from->len || len > from->len - off)
		return -EINVAL;
	for (i = 0; len; i++) {
		const struct weft_sge *e = &from->e[i];

		if (off >= e->len) {
			off -= e->len;
			continue;
		}
		n = e->len - off < len ? e->len - off : len;
		ret = weft_sg_add(sg, e->buf, e->ptr + off, n);
		if (ret) {
			sg_cut(sg, before);
			return ret;
		}
		len -= n;
		off = 0;
	}
	return 0;
}

void weft_sg_move(struct weft_sg *to, struct weft_sg *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

void weft_sg_fini(struct weft_sg *sg)
{
	sg_cut(sg, 0);
	free(sg->e);
	memset(sg, 0, sizeof(*sg));
}

int weft_sg_iov(const struct weft_sg *sg, size_t off, struct iovec *iov, int max)
{
	unsigned int i;
	int n = 0;

	for (i = 0; i < sg->n && n < max; i++) {
		const struct weft_sge *e = &sg->e[i];

		if (off >= e->len) {
			off -= e->len;
			continue;
		}
		iov[n].iov_base = e->ptr + off;
		iov[n++].iov_len = e->len - off;
		off = 0;
	}
	return n;
}

static size_t sg_copy(const struct weft_sg *sg, size_t off, char *mem, size_t len, bool out)
{
	size_t done = 0, n;
	unsigned int i;

	for (i = 0; i < sg->n && done < len; i++) {
		const struct weft_sge *e = &sg->e[i];

		if (off >= e->len) {
			off -= e->len;
			continue;
		}
		n = e->len - off < len - done ? e->len - off : len - done;
		memcpy(out ? mem + done : e->ptr + off, out ? e->ptr + off : mem + done, n);
		done += n;
		off = 0;
	}
	return done;
}

size_t weft_sg_read(const struct weft_sg *sg, size_t off, void *dst, size_t len)
{
	return sg_copy(sg, off, dst, len, true);
}

size_t weft_sg_write(const struct weft_sg *sg, size_t off, const void *src, size_t len)
{
	return sg_copy(sg, off, (char *)src, len, false);
}
