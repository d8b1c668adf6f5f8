// SPDX-License-Identifier: Apache-2.0
/* SETATTR: chmod, chown, times, sizes, by whom they are allowed and what they change besides. */
#include <CUnit/Basic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/mds/sim.h"

static struct sim sim;
static struct sim_client client;
static u64 file, dir;

static struct weft_attr attr(u64 ino)
{
	struct weft_attr a = { 0 };

	sim_getattr(&sim, ino, &a);
	return a;
}

static u32 mode(u64 ino)
{
	return le32_to_cpu(attr(ino).mode) & 07777;
}

/* A file and a directory of user 10. */
static void begin(void)
{
	sim_start(&sim, 1);
	sim_client(&sim, &client);
	sim_create(&sim, WEFT_INO_ROOT, "f", S_IFREG | 0644, &file);
	sim_create(&sim, WEFT_INO_ROOT, "d", S_IFDIR | 0755, &dir);
	sim_chown(&sim, file, WEFT_SET_UID | WEFT_SET_GID, 10, 20);
	sim_chown(&sim, dir, WEFT_SET_UID | WEFT_SET_GID, 10, 20);
}

static void test_chmod(void)
{
	begin();
	sim_user(&sim, 11, 20);
	CU_ASSERT_EQUAL(sim_chmod(&sim, file, 0600), -EPERM);
	sim_user(&sim, 10, 21);
	CU_ASSERT_EQUAL(sim_chmod(&sim, file, 06755), 0);
	CU_ASSERT_EQUAL(mode(file), 04755); /* not of the group: no set-group-id */
	client.ngroups = 1;
	client.groups[0] = 20;
	CU_ASSERT_EQUAL(sim_chmod(&sim, file, 06755), 0);
	CU_ASSERT_EQUAL(mode(file), 06755);
	CU_ASSERT_EQUAL(sim_chmod(&sim, 4711, 0600), -ESTALE);
	sim_stop(&sim);
}

static void test_chown(void)
{
	begin();
	sim_user(&sim, 10, 20);
	CU_ASSERT_EQUAL(sim_chmod(&sim, file, 06755), 0);
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_UID, 11, 0), -EPERM);
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_UID, 10, 0), 0);
	CU_ASSERT_EQUAL(mode(file), 0755); /* privileges go */
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_GID, 0, 30), -EPERM);
	client.ngroups = 1;
	client.groups[0] = 30;
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_GID, 0, 30), 0);
	CU_ASSERT_EQUAL(le32_to_cpu(attr(file).gid), 30);
	sim_user(&sim, 11, 30);
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_GID, 0, 30), -EPERM);
	sim_root(&sim);
	sim_chmod(&sim, file, 06745);
	CU_ASSERT_EQUAL(sim_chown(&sim, file, WEFT_SET_UID, 12, 0), 0);
	CU_ASSERT_EQUAL(mode(file), 02745); /* mandatory locking's bit stays */
	sim_chmod(&sim, dir, 02755);
	CU_ASSERT_EQUAL(sim_chown(&sim, dir, WEFT_SET_UID, 12, 0), 0);
	CU_ASSERT_EQUAL(mode(dir), 02755);
	sim_stop(&sim);
}

static void test_times(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_ATIME | WEFT_SET_MTIME) };
	struct weft_setattr_req now = { .valid = cpu_to_le32(WEFT_SET_ATIME_NOW |
							     WEFT_SET_MTIME_NOW) };
	struct weft_attr before, a;

	begin();
	before = attr(file);
	req.atime.sec = cpu_to_le64(-5);
	req.atime.nsec = cpu_to_le32(999999999);
	req.mtime.sec = cpu_to_le64(1ll << 34);
	sim_user(&sim, 10, 20);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), 0);
	a = attr(file);
	CU_ASSERT_EQUAL((s64)le64_to_cpu(a.atime.sec), -5);
	CU_ASSERT_EQUAL(le32_to_cpu(a.atime.nsec), 999999999);
	CU_ASSERT_EQUAL(le64_to_cpu(a.mtime.sec), 1ll << 34);
	CU_ASSERT(memcmp(&a.ctime, &before.ctime, sizeof(a.ctime)));
	CU_ASSERT_EQUAL(memcmp(&a.btime, &before.btime, sizeof(a.btime)), 0);
	req.mtime.nsec = cpu_to_le32(1000000000);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), -EINVAL);
	req.mtime.nsec = 0;
	sim_user(&sim, 11, 11);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), -EPERM);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &now), -EACCES);
	sim_root(&sim);
	sim_chmod(&sim, file, 0666);
	sim_user(&sim, 11, 11);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &now), 0);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), -EPERM);
	/* late access times of an open file are nobody's business, and leave ctime alone */
	before = attr(file);
	req.valid = cpu_to_le32(WEFT_SET_ATIME);
	req.ns.flags = cpu_to_le32(WEFT_NS_BY_HANDLE);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), 0);
	a = attr(file);
	CU_ASSERT_EQUAL(memcmp(&a.ctime, &before.ctime, sizeof(a.ctime)), 0);
	CU_ASSERT_EQUAL((s64)le64_to_cpu(a.atime.sec), -5);
	req.valid = cpu_to_le32(0x8000);
	CU_ASSERT_EQUAL(sim_setattr(&sim, file, &req), -EINVAL);
	sim_stop(&sim);
}

static void test_size(void)
{
	struct weft_attr a, b;
	char got[64];

	begin();
	CU_ASSERT_EQUAL(sim_truncate(&sim, dir, 0), -EISDIR);
	CU_ASSERT_EQUAL(sim_write(&sim, file, 0, "0123456789", 10), 0);
	a = attr(file);
	sim_user(&sim, 11, 11);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 4), -EACCES);
	sim_user(&sim, 10, 20);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 4), 0);
	b = attr(file);
	CU_ASSERT_EQUAL(le64_to_cpu(b.size), 4);
	CU_ASSERT(le64_to_cpu(b.data_version) > le64_to_cpu(a.data_version));
	CU_ASSERT_EQUAL(sim.rep.attr.prev_data, sim.rep.attr.attr.data_version);
	CU_ASSERT(memcmp(&a.mtime, &b.mtime, sizeof(a.mtime)));
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 1ull << 40), 0);
	CU_ASSERT_EQUAL(le64_to_cpu(attr(file).size), 1ull << 40);
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 1ull << 63), -EFBIG);
	CU_ASSERT_EQUAL(sim.trims, 0);
	CU_ASSERT_EQUAL(sim_getxattr(&sim, file, WEFT_XATTR_LAYOUT, got, sizeof(got)), 47 - 2);
	CU_ASSERT(sim_consistent(&sim));
	sim_stop(&sim);
}

/* A file in chunks: its objects are cut first; a crash between leaves the cut to the restart. */
static void test_cut(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE),
					.size = cpu_to_le64(70000) };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .body = &req,
				 .body_len = sizeof(req) };
	struct weft_attr a;
	u64 k, first, took = 1;

	begin();
	CU_ASSERT_EQUAL(sim_spill(&sim, file, WEFT_WRITE_SPILL_BEGIN, 0), 0);
	CU_ASSERT_EQUAL(sim_spill(&sim, file, WEFT_WRITE_SPILL_DONE, 200000), 0);
	CU_ASSERT_EQUAL(sim_commit(&sim, file, 300000, 303104), 0);
	sim.trim_delta = -100000;
	sim.trim_err = -EIO; /* is tried again */
	CU_ASSERT_EQUAL(sim_truncate(&sim, file, 70000), 0);
	a = attr(file);
	CU_ASSERT_EQUAL(le64_to_cpu(a.size), 70000);
	CU_ASSERT_EQUAL(le64_to_cpu(a.bytes_used), 203104);
	CU_ASSERT_EQUAL(sim.trims, 2);
	CU_ASSERT_EQUAL(sim.trim_ino, file);
	CU_ASSERT_EQUAL(sim.trim_chunk, 1);
	CU_ASSERT_EQUAL(sim.trim_off, 70000 - 65536);
	r.ino = file;
	for (k = 1; k <= took; k++) {
		CU_ASSERT_EQUAL(sim_commit(&sim, file, 300000, 0), 0);
		sim.trims = 0;
		first = sim.steps;
		sim.crash_at = first + k;
		CU_ASSERT_EQUAL(sim_request(&sim, &r), 0);
		took = sim.steps - first;
		sim.crash_at = 0;
		CU_ASSERT(sim.trims >= 1);
		CU_ASSERT_EQUAL(le64_to_cpu(attr(file).size), 70000);
		CU_ASSERT(sim_consistent(&sim));
	}
	CU_ASSERT(k > 4);
	sim_stop(&sim);
}

/* Others wait while the objects are cut. */
static void test_cut_locks(void)
{
	struct weft_setattr_req req = { .valid = cpu_to_le32(WEFT_SET_SIZE) };
	struct sim_request r = { .opcode = WEFT_OP_SETATTR, .body = &req,
				 .body_len = sizeof(req) };
	struct sim_client other;

	begin();
	sim_spill(&sim, file, WEFT_WRITE_SPILL_BEGIN, 0);
	sim_spill(&sim, file, WEFT_WRITE_SPILL_DONE, 200000);
	sim_client(&sim, &other);
	sim_run(&sim, 100);
	r.ino = file;
	sim.trim_err = -EIO;
	sim_begin(&sim, &r);
	sim_run(&sim, 50);
	CU_ASSERT_FALSE(sim.replied);
	sim.me = &client;
	CU_ASSERT_EQUAL(le64_to_cpu(attr(file).size), 0);
	CU_ASSERT(sim.servers[0].m->stats.parked > 0);
	sim_stop(&sim);
}

int main(void)
{
	CU_pSuite s;

	weft_log_set_level(WEFT_LOG_ERR);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("mds/attr", NULL, NULL);
	CU_add_test(s, "chmod", test_chmod);
	CU_add_test(s, "chown", test_chown);
	CU_add_test(s, "times", test_times);
	CU_add_test(s, "size of a small file", test_size);
	CU_add_test(s, "size of a file in chunks, with crashes", test_cut);
	CU_add_test(s, "others wait for the cut", test_cut_locks);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	return CU_get_number_of_failures() || CU_get_error() ? 1 : 0;
}
