// SPDX-License-Identifier: Apache-2.0
/* OPEN, CLOSE, inline data, SPILL, files that are unlinked while they are open. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

#define ROOT WEFT_INO_ROOT
#define RW (WEFT_OPEN_READ | WEFT_OPEN_WRITE)

static struct sim sim;
static struct sim_client client;

static void begin(u32 nservers)
{
	sim_start(&sim, nservers);
	sim_client(&sim, &client);
	sim_run(&sim, 100);
}

static struct weft_attr attr(u64 ino)
{
	struct weft_attr a = { 0 };

	sim_getattr(&sim, ino, &a);
	return a;
}

static void test_open(void)
{
	u64 f, big, d, l, id;

	begin(1);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW, 0, &f, &id), -ENOENT);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW | WEFT_OPEN_CREATE, 0640, &f, &id), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.flags), WEFT_ENTRY_CREATED);
	CU_ASSERT(id != 0);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW | WEFT_OPEN_CREATE | WEFT_OPEN_EXCL, 0640,
				 NULL, NULL),
			-EEXIST);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW | WEFT_OPEN_CREATE, 0600, NULL, NULL), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.flags), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(f).mode), S_IFREG | 0640);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "hello", 5), 0);
	/* open and read in one */
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", WEFT_OPEN_READ, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(sim.data_len, 5);
	CU_ASSERT_EQUAL(memcmp(sim.data, "hello", 5), 0);
	CU_ASSERT_EQUAL(sim_open(&sim, f, NULL, WEFT_OPEN_READ, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(sim.data_len, 5);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW | WEFT_OPEN_TRUNC, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.entry.attr.size), 0);
	CU_ASSERT_EQUAL(sim.data_len, 0);
	/* a client that expects a large file gets it in chunks */
	CU_ASSERT(attr(f).layout.flags & WEFT_LAYOUT_INLINE);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "big", RW | WEFT_OPEN_CREATE | WEFT_OPEN_CHUNKED, 0600,
				 &big, &id),
			0);
	CU_ASSERT_EQUAL(attr(big).layout.flags, 0);
	CU_ASSERT(attr(big).layout.width != 0);
	CU_ASSERT_EQUAL(sim_write(&sim, big, 0, "hello", 5), WEFT_S_LAYOUT);
	/* what is no file is not opened */
	sim_create(&sim, ROOT, "d", S_IFDIR | 0755, &d);
	sim_symlink(&sim, ROOT, "l", "f", &l);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "d", WEFT_OPEN_READ, 0, NULL, &id), 0);
	CU_ASSERT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "l", WEFT_OPEN_READ, 0, NULL, &id), 0);
	CU_ASSERT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(memcmp(sim.data, "f", 1), 0);
	/* access */
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", WEFT_OPEN_READ, 0, NULL, NULL), -EACCES);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "x", WEFT_OPEN_CREATE, 0600, NULL, NULL), -EACCES);
	sim_root(&sim);
	sim_chmod(&sim, f, 0644);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", WEFT_OPEN_READ, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", RW, 0, NULL, NULL), -EACCES);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", WEFT_OPEN_READ | WEFT_OPEN_TRUNC, 0, NULL, NULL),
			-EACCES);
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, "f", WEFT_OPEN_EXEC, 0, NULL, NULL), -EACCES);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_orphan(void)
{
	u64 f, g, id, id2, t;

	begin(1);
	sim_open(&sim, ROOT, "f", RW | WEFT_OPEN_CREATE, 0600, &f, &id);
	sim_open(&sim, ROOT, "f", RW, 0, NULL, &id2);
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "f"), 0);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "still", 5), 0);
	CU_ASSERT_EQUAL(sim_close(&sim, f, id), 0);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0);
	/* it survives a restart, since its client tells that it is open */
	sim_crash(&sim, 0);
	sim_restart(&sim, 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0);
	CU_ASSERT(client.session_flags & WEFT_SESSION_RECLAIM);
	sim_run(&sim, 5000);
	sim_open_session(&sim, 0);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_open_session(&sim, 0);
	CU_ASSERT_EQUAL(sim_close(&sim, f, id2), 0);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE);
	/* a file without any name */
	CU_ASSERT_EQUAL(sim_open(&sim, ROOT, NULL, RW | WEFT_OPEN_CREATE | WEFT_OPEN_TMPFILE, 0600,
				 &t, &id),
			0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(t).nlink), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_open_session(&sim, 0);
	CU_ASSERT_EQUAL(sim_link(&sim, t, ROOT, "named"), 0);
	CU_ASSERT_EQUAL(sim_close(&sim, t, id), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(t).nlink), 1);
	/* a client that opened it without telling says so when it takes the name away */
	sim_create(&sim, ROOT, "g", S_IFREG | 0600, &g);
	{
		struct sim_request r = { .opcode = WEFT_OP_UNLINK, .ino = ROOT, .name = "g",
					 .flags = WEFT_NS_VICTIM_OPEN, .open_id = 4711 };

		CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	}
	CU_ASSERT_EQUAL(sim_getattr(&sim, g, NULL), 0);
	CU_ASSERT_EQUAL(sim_link(&sim, g, ROOT, "again"), -ENOENT);
	CU_ASSERT_EQUAL(sim_close(&sim, g, 4711), 0);
	sim_run(&sim, 100);
	CU_ASSERT_EQUAL(sim_getattr(&sim, g, NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

static void test_inline(void)
{
	struct sim_request r = { .opcode = WEFT_OP_READ_INLINE, .bulk_max = 65536 };
	char big[WEFT_INLINE_DEFAULT + 1];
	u64 f;

	begin(1);
	memset(big, 'x', sizeof(big));
	sim_create(&sim, ROOT, "f", S_IFREG | 0600, &f);
	r.ino = f;
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.data_len, 0);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 3, "abc", 3), 0);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 1, "Z", 1), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.data_len, 6);
	CU_ASSERT_EQUAL(memcmp(sim.data, "\0Z\0abc", 6), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.bytes_used), 512);
	CU_ASSERT_EQUAL(sim_truncate(&sim, f, 4), 0);
	CU_ASSERT_EQUAL(sim_truncate(&sim, f, 6), 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
	CU_ASSERT_EQUAL(sim.data_len, 4); /* zeros behind are not sent */
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.size), 6);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, big, WEFT_INLINE_DEFAULT), 0);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, big, WEFT_INLINE_DEFAULT + 1), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_write(&sim, f, WEFT_INLINE_DEFAULT, big, 1), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_commit(&sim, f, 10, 0), WEFT_S_LAYOUT);
	/* writing takes privileges away from who has none */
	sim_chmod(&sim, f, 06777);
	sim_user(&sim, 10, 10);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "y", 1), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(f).mode), S_IFREG | 0777);
	sim_root(&sim);
	/* into chunks */
	CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_DONE, 0), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim_write(&sim, f, 0, "y", 1), 0);
	CU_ASSERT_EQUAL(sim.trims, 0);
	/* begun again: what the first attempt left is cut */
	CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_DONE, 70000), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.size), 70000);
	CU_ASSERT_EQUAL(sim.rep.attr.attr.layout.flags, 0);
	CU_ASSERT_EQUAL(sim_request(&sim, &r), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0), WEFT_S_LAYOUT);
	CU_ASSERT_EQUAL(sim_commit(&sim, f, 80000, -100), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(sim.rep.attr.attr.bytes_used), 0);
	CU_ASSERT(sim_consistent(&sim));
	sim_open_session(&sim, 0);
	/* deleting it deletes its objects, later */
	sim.trims = 0;
	CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "f"), 0);
	sim_run(&sim, 2000);
	CU_ASSERT_EQUAL(sim.trims, 1);
	CU_ASSERT_EQUAL(sim.trim_ino, f);
	CU_ASSERT_EQUAL(sim.trim_chunk + sim.trim_off, 0);
	CU_ASSERT_EQUAL(sim.servers[0].m->stats.purged, 1);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* Many removed files: their purges begin together, and their records go in few batches. */
static void test_purge_many(void)
{
	struct mds_stats *st;
	char name[16];
	u64 f, batches;
	u32 k;

	begin(1);
	for (k = 0; k < 100; k++) {
		snprintf(name, sizeof(name), "f%u", k);
		CU_ASSERT_EQUAL(sim_create(&sim, ROOT, name, S_IFREG | 0600, &f), 0);
		CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0), 0);
		CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_DONE, 70000), 0);
	}
	st = &sim.servers[0].m->stats;
	batches = st->batches;
	sim.trims = 0;
	for (k = 0; k < 100; k++) {
		snprintf(name, sizeof(name), "f%u", k);
		CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, name), 0);
	}
	sim_run(&sim, 2000);
	CU_ASSERT_EQUAL(sim.trims, 100);
	CU_ASSERT_EQUAL(st->purged, 100);
	CU_ASSERT_EQUAL(sim.servers[0].m->purge.running + sim.servers[0].m->purge.cut, 0);
	CU_ASSERT(st->batches - batches <= 106);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* Whatever step a server crashes at: an unlinked file's objects are deleted, no others. */
static void test_purge_crash(void)
{
	u64 f, k, first, took = 1;

	begin(1);
	for (k = 1; k <= took; k++) {
		CU_ASSERT_EQUAL(sim_create(&sim, ROOT, "f", S_IFREG | 0600, &f), 0);
		CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_BEGIN, 0), 0);
		CU_ASSERT_EQUAL(sim_spill(&sim, f, WEFT_WRITE_SPILL_DONE, 70000), 0);
		sim.trim_ino = 0;
		first = sim.steps;
		sim.crash_at = first + k;
		CU_ASSERT_EQUAL(sim_unlink(&sim, ROOT, "f"), 0);
		sim_run(&sim, 1000);
		took = sim.steps - first;
		sim.crash_at = 0;
		CU_ASSERT(sim_consistent(&sim));
		CU_ASSERT_EQUAL(sim.trim_ino, f);
	}
	CU_ASSERT(k > 6);
	sim_stop(&sim);
}

/* A name whose inode lives elsewhere. */
static void test_remote(void)
{
	char name[32];
	u64 d0, d1, f, id;

	begin(2);
	d0 = sim_dir_on(&sim, ROOT, 0, name);
	d1 = sim_dir_on(&sim, ROOT, 1, name);
	CU_ASSERT_EQUAL(sim_open(&sim, d0, "f", RW | WEFT_OPEN_CREATE, 0600, &f, &id), 0);
	CU_ASSERT_EQUAL(sim_rename(&sim, d0, "f", d1, "g", 0), 0);
	CU_ASSERT_EQUAL(sim_open(&sim, d1, "g", WEFT_OPEN_READ, 0, NULL, &id), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(sim.rep.entry.flags), WEFT_ENTRY_REMOTE);
	CU_ASSERT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(sim_open(&sim, f, NULL, WEFT_OPEN_READ, 0, NULL, &id), 0);
	CU_ASSERT(id != 0);
	/* unlinked from the other server while open here */
	CU_ASSERT_EQUAL(sim_unlink(&sim, d1, "g"), 0);
	sim_run(&sim, 500);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), 0);
	while (client.nfiles)
		sim_close(&sim, le64_to_cpu(client.files[0].ino),
			  le64_to_cpu(client.files[0].open_id));
	sim_run(&sim, 500);
	CU_ASSERT_EQUAL(sim_getattr(&sim, f, NULL), -ESTALE);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/open", NULL, NULL);
	CU_add_test(s, "open", test_open);
	CU_add_test(s, "unlinked while open", test_orphan);
	CU_add_test(s, "inline data and the way out of it", test_inline);
	CU_add_test(s, "purges together", test_purge_many);
	CU_add_test(s, "purge, with crashes", test_purge_crash);
	CU_add_test(s, "inodes of another server", test_remote);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
