// SPDX-License-Identifier: Apache-2.0
/*
 * Reading, writing and verifying the blocks of a part.
 *
 * Blocks that are neighbours in the segment and in the data file make one request. Writes and
 * reads of one part run at once; the first error of any of them is the outcome.
 *
 * A block whose bytes do not match the checksum of its record is -EIO with a line in the log; its
 * bytes go nowhere.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "oss/internal.h"

static void io_one_done(struct weft_io *io, ssize_t res)
{
	struct oss_part *p = io->arg;

	if (res >= 0 && (uint64_t)res < io->len)
		res = -EIO; /* the data file ends before the block */
	if (res >= 0 && io->op == WEFT_IO_WRITE)
		p->store->stats.data_bytes += io->len;
	if (res < 0 && !p->io_err)
		p->io_err = res;
	if (--p->io_pending)
		return;
	oss_part_io_fini(p);
	p->io_done(p, p->io_err);
}

void oss_part_io_fini(struct oss_part *p)
{
	free(p->ios);
	free(p->iov);
	p->ios = NULL;
	p->iov = NULL;
}

static bool wanted(const struct oss_part *p, const struct oss_rec *rec, uint32_t b)
{
	return p->mem[b] && oss_rec_on_disk(rec, b);
}

/* One request for the blocks from @b on; returns how many it covers. */
static uint32_t fill_io(struct oss_part *p, const struct oss_rec *rec, uint32_t b,
			struct weft_io *io)
{
	struct iovec *iov = io->iov;
	uint32_t n = 0;

	io->off = p->store->data_offset + (rec->blk[b] << OSS_BLOCK_SHIFT);
	do {
		struct iovec *last = io->niov ? &iov[io->niov - 1] : NULL;
		char *mem = p->mem[b + n];

		if (last && (char *)last->iov_base + last->iov_len == mem)
			last->iov_len += OSS_BLOCK;
		else
			iov[io->niov++] = (struct iovec){ mem, OSS_BLOCK };
		n++;
	} while (b + n < OSS_SEG_BLOCKS && wanted(p, rec, b + n) &&
		 rec->blk[b + n] == rec->blk[b] + n);
	io->len = (uint64_t)n << OSS_BLOCK_SHIFT;
	return n;
}

int oss_part_io(struct oss_part *p, enum weft_io_op op, const struct oss_rec *rec,
		void (*done)(struct oss_part *p, int err))
{
	uint32_t b, n = 0, nios = 0;

	for (b = 0; b < OSS_SEG_BLOCKS; b++)
		n += wanted(p, rec, b);
	if (!n)
		return 0;
	p->ios = calloc(n, sizeof(*p->ios));
	p->iov = calloc(n, sizeof(*p->iov));
	if (!p->ios || !p->iov) {
		oss_part_io_fini(p);
		return -ENOMEM;
	}
	p->io_err = 0;
	p->io_done = done;
	for (b = 0, n = 0; b < OSS_SEG_BLOCKS;) {
		struct weft_io *io = &p->ios[nios];

		if (!wanted(p, rec, b)) {
			b++;
			continue;
		}
		io->op = op;
		io->iov = &p->iov[n];
		io->done = io_one_done;
		io->arg = p;
		b += fill_io(p, rec, b, io);
		n += io->niov;
		nios++;
	}
	p->io_pending = nios;
	for (n = 0; n < nios; n++)
		weft_disk_submit(p->store->disk, &p->ios[n]);
	return nios;
}

int oss_part_verify(struct oss_part *p, const struct oss_rec *rec)
{
	const struct oss_key *k = &p->seg->key;
	uint32_t b, crc;
	int err = 0;

	for (b = 0; b < OSS_SEG_BLOCKS; b++) {
		if (!p->mem[b] || !oss_rec_written(rec, b))
			continue;
		crc = weft_crc32c(0, p->mem[b], OSS_BLOCK);
		if (crc == rec->crc[b])
			continue;
		err = -EIO;
		p->store->stats.crc_errors++;
		weft_err("block is damaged",
			 "ino=%llx chunk=%llu block=%u offset=%llu crc=%08x want=%08x",
			 (unsigned long long)k->ino, (unsigned long long)k->chunk,
			 k->seg * OSS_SEG_BLOCKS + b,
			 (unsigned long long)(p->store->data_offset +
					      (oss_rec_block(rec, b) << OSS_BLOCK_SHIFT)),
			 crc, rec->crc[b]);
	}
	return err;
}
