/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk memory: buffers aligned to 4 KiB, cut from large slabs, and lists of pieces of them.
 *
 * Buffers come in size classes (4 KiB to 4 MiB, powers of two) from slabs that are mapped once and
 * never returned before the pool goes, so that a slab can be registered with devices; slab->priv
 * holds such registrations. A pool has a limit: at the limit weft_buf_get() returns NULL and
 * the caller waits or refuses.
 *
 * Protection: a pool has a lock, its buffers' reference counts are atomic: buffers may be passed
 * between threads.
 */
#ifndef WEFT_COMMON_BUF_H
#define WEFT_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define WEFT_BUF_ALIGN 4096u
#define WEFT_BUF_MAX (4u << 20)
#define WEFT_SLAB_TAIL WEFT_BUF_ALIGN /* mapped behind each slab, see common/rpc/rdma_dev.c */

struct weft_pool;

/**
 * struct weft_slab - one mapping that buffers are cut from
 * @base: its memory
 * @len: its length
 * @priv: registrations of the RDMA transport, set once (common/rpc/rdma_dev.c)
 * @priv_free: drops them, called before the memory is unmapped
 */
struct weft_slab {
	struct weft_slab *next;
	char *base;
	size_t len;
	void *priv;
	void (*priv_free)(struct weft_slab *slab);
};

/**
 * struct weft_buf - a buffer
 * @data: its memory, aligned to WEFT_BUF_ALIGN
 * @size: its capacity
 * @refs: private
 * @slab: the slab it was cut from
 */
struct weft_buf {
	char *data;
	size_t size;
	int refs;
	struct weft_slab *slab;
	struct weft_pool *pool;
	struct weft_buf *next;
};

/**
 * weft_pool_create() - make a pool
 * @limit: bytes of slabs it may map
 * @out: the pool
 *
 * Return: 0 or -ENOMEM.
 */
int weft_pool_create(size_t limit, struct weft_pool **out);

/**
 * weft_pool_destroy() - free a pool whose buffers have all been put
 * @pool: the pool or NULL
 */
void weft_pool_destroy(struct weft_pool *pool);

/**
 * weft_pool_watch() - hear of a pool's slabs
 * @pool: the pool
 * @slab: called for each slab there is, at once, for each new one when it is mapped, and for each
 *	with @gone before it is unmapped. It must not use the pool. NULL: no more.
 * @arg: argument of @slab
 *
 * Context: the calls come on the thread that takes a buffer or destroys the pool.
 */
void weft_pool_watch(struct weft_pool *pool,
		     void (*slab)(void *arg, void *mem, size_t len, bool gone), void *arg);

/**
 * weft_pool_used() - bytes in buffers that are out
 * @pool: the pool
 *
 * Return: bytes.
 */
size_t weft_pool_used(struct weft_pool *pool);

/**
 * weft_buf_get() - take a buffer
 * @pool: the pool
 * @size: bytes needed, 1 to WEFT_BUF_MAX
 *
 * Return: a buffer of at least that size with one reference, its content undefined; NULL when
 * the pool is at its limit or @size is out of range.
 */
struct weft_buf *weft_buf_get(struct weft_pool *pool, size_t size);

/**
 * weft_buf_ref() - take one more reference
 * @b: the buffer
 *
 * Return: @b.
 */
struct weft_buf *weft_buf_ref(struct weft_buf *b);

/**
 * weft_buf_put() - drop a reference
 * @b: the buffer or NULL
 */
void weft_buf_put(struct weft_buf *b);

/**
 * struct weft_sge - a piece of memory
 * @buf: the buffer it lies in, with a reference; NULL when the owner keeps the memory alive
 * @ptr: first byte
 * @len: bytes
 */
struct weft_sge {
	struct weft_buf *buf;
	char *ptr;
	size_t len;
};

/**
 * struct weft_sg - a list of pieces
 * @e: the pieces
 * @n: how many
 * @cap: room in @e
 * @len: bytes of all pieces
 */
struct weft_sg {
	struct weft_sge *e;
	unsigned int n;
	unsigned int cap;
	size_t len;
};

#define WEFT_SG_INIT { 0 }

/**
 * weft_sg_add() - append a piece
 * @sg: the list
 * @buf: its buffer (a reference is taken) or NULL
 * @ptr: first byte
 * @len: bytes
 *
 * Return: 0 or -ENOMEM.
 */
int weft_sg_add(struct weft_sg *sg, struct weft_buf *buf, void *ptr, size_t len);

/**
 * weft_sg_alloc() - append new buffers for a number of bytes
 * @sg: the list
 * @pool: where from
 * @len: bytes
 *
 * The buffers are as large as possible; every piece but the last is a multiple of 4 KiB.
 *
 * Return: 0, or -ENOMEM (the list is as before) at the pool's limit.
 */
int weft_sg_alloc(struct weft_sg *sg, struct weft_pool *pool, size_t len);

/**
 * weft_sg_slice() - append part of another list, sharing its buffers
 * @sg: the list
 * @from: the other list
 * @off: first byte in @from
 * @len: bytes
 *
 * Return: 0, -EINVAL when @from is shorter, or -ENOMEM.
 */
int weft_sg_slice(struct weft_sg *sg, const struct weft_sg *from, size_t off, size_t len);

/**
 * weft_sg_move() - hand a list over
 * @to: an empty list
 * @from: becomes empty
 */
void weft_sg_move(struct weft_sg *to, struct weft_sg *from);

/**
 * weft_sg_fini() - drop all pieces
 * @sg: the list, empty afterwards
 */
void weft_sg_fini(struct weft_sg *sg);

/**
 * weft_sg_iov() - describe part of a list to readv and writev
 * @sg: the list
 * @off: first byte
 * @iov: filled in
 * @max: room in @iov
 *
 * Return: entries filled.
 */
int weft_sg_iov(const struct weft_sg *sg, size_t off, struct iovec *iov, int max);

/**
 * weft_sg_read() - copy bytes out of a list
 * @sg: the list
 * @off: first byte
 * @dst: where to
 * @len: bytes
 *
 * Return: bytes copied (fewer at the end of the list).
 */
size_t weft_sg_read(const struct weft_sg *sg, size_t off, void *dst, size_t len);

/**
 * weft_sg_write() - copy bytes into the memory of a list
 * @sg: the list
 * @off: first byte
 * @src: where from
 * @len: bytes
 *
 * Return: bytes copied.
 */
size_t weft_sg_write(const struct weft_sg *sg, size_t off, const void *src, size_t len);

#endif
