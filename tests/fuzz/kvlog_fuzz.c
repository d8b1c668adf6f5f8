// SPDX-License-Identifier: Apache-2.0
/*
 * The commit log of a store with any content behind a good head: blocks that begin with an odd byte
 * become records with the right salt and checksum, whatever else they say.
 */
#include "common/kvlog.c"

#include <stdio.h>
#include <sys/mman.h>

#define MAX_BLOCKS 16

static struct {
	uint64_t end;
	unsigned int n, sum;
} seen;

/* Touches all of the record; numbers only go up. */
static int note(void *arg, uint64_t end, const void *data, size_t len)
{
	const unsigned char *p = data;

	(void)arg;
	if (seen.n++ && end <= seen.end)
		abort();
	seen.end = end;
	while (len--)
		seen.sum += *p++;
	return 0;
}

static void make_record(unsigned char *block, size_t room)
{
	struct record r;

	memcpy(&r, block, sizeof(r));
	r.salt = cpu_to_le64(1);
	r.len = cpu_to_le32(le32_to_cpu(r.len) % (room - sizeof(r) + 1));
	r.seq = cpu_to_le64(le64_to_cpu(r.seq) % 64);
	r.count = cpu_to_le32(le32_to_cpu(r.count) % 8);
	r.crc = cpu_to_le32(record_crc(&r, block + sizeof(r), le32_to_cpu(r.len)));
	memcpy(block, &r, sizeof(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char file[MAX_BLOCKS * BLOCK];
	struct head h = { .magic = cpu_to_le32(MAGIC), .version = cpu_to_le32(VERSION),
			  .salt = cpu_to_le64(1) };
	struct weft_kvlog *log;
	char path[64];
	size_t k;
	int fd;

	if (size > sizeof(file) - BLOCK)
		size = sizeof(file) - BLOCK;
	memset(file, 0, sizeof(file));
	h.crc = cpu_to_le32(weft_crc32c(0, &h, offsetof(struct head, crc)));
	memcpy(file, &h, sizeof(h));
	memcpy(file + BLOCK, data, size);
	/* From behind: a record may reach over blocks that are records themselves. */
	for (k = MAX_BLOCKS - 1; k; k--)
		if (file[k * BLOCK] & 1)
			make_record(file + k * BLOCK, sizeof(file) - k * BLOCK);
	fd = memfd_create("kvlog", 0);
	if (fd < 0 || write_all(fd, (char *)file, sizeof(file), 0))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (weft_kvlog_open(path, true, &log))
		abort();
	memset(&seen, 0, sizeof(seen));
	weft_kvlog_replay(log, size % 64, note, NULL);
	weft_kvlog_close(log);
	close(fd);
	return 0;
}
