// SPDX-License-Identifier: Apache-2.0
/*
 * The log on the raft library, with a state machine that adds numbers: what was acknowledged is
 * there after a restart, through the log and through snapshots; a damaged log is refused.
 */
#include <CUnit/Basic.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "mgmt/raft.h"
#include "mgmt/state.h"

struct fx {
	char dir[64];
	struct weft_env *env;
	struct mgmt_raft *raft;
	bool leads, broken, stuck;
	uint64_t sum, applied; /* the state */
	unsigned int restored;
	unsigned int proposed, acked, refused, waiting;
	uint64_t last_result;
	struct weft_timer watchdog;
	char err[MGMT_RAFT_ERR_MAX];
};

static int apply(void *arg, const void *cmd, size_t len, struct mgmt_result *res)
{
	struct fx *f = arg;
	uint32_t n;

	CU_ASSERT_FATAL(len >= sizeof(n) && len < sizeof(n) + 32);
	memcpy(&n, cmd, sizeof(n));
	f->sum += n;
	f->applied++;
	memset(res, 0, sizeof(*res));
	res->id = f->sum;
	return 0;
}

static void *snapshot(void *arg, void *(*alloc)(size_t size), size_t *len)
{
	struct fx *f = arg;
	uint64_t *p = alloc(16);

	*len = 16;
	p[0] = f->sum;
	p[1] = f->applied;
	return p;
}

static int restore(void *arg, const void *buf, size_t len)
{
	struct fx *f = arg;
	const uint64_t *p = buf;

	if (len != 16)
		return -EBADMSG;
	f->sum = p[0];
	f->applied = p[1];
	f->restored++;
	return 0;
}

static void leading(void *arg, bool leads)
{
	struct fx *f = arg;

	f->leads = leads;
	weft_env_stop(f->env);
}

static void broken(void *arg, const char *sentence)
{
	struct fx *f = arg;

	CU_ASSERT(strlen(sentence) > 0);
	f->broken = true;
	weft_env_stop(f->env);
}

static const struct mgmt_log_cb callbacks = {
	.apply = apply,
	.snapshot = snapshot,
	.restore = restore,
	.leading = leading,
	.broken = broken,
};

static void stuck(void *arg)
{
	struct fx *f = arg;

	f->stuck = true;
	weft_env_stop(f->env);
}

static void run(struct fx *f)
{
	weft_timer_start(f->env, &f->watchdog, 20 * WEFT_NS_PER_S);
	weft_env_uv_run(f->env);
	weft_timer_stop(f->env, &f->watchdog);
	CU_ASSERT_FALSE_FATAL(f->stuck);
}

static int begin(struct fx *f)
{
	struct mgmt_raft_cfg cfg = { .id = 1, .nmembers = 1, .members = { "127.0.0.1:1" } };
	char dir[80];
	int ret;

	f->sum = f->applied = f->restored = 0;
	f->leads = false;
	CU_ASSERT_EQUAL_FATAL(weft_env_uv_create(&f->env), 0);
	weft_timer_init(&f->watchdog, stuck, f);
	snprintf(dir, sizeof(dir), "%s/raft", f->dir);
	cfg.env = f->env;
	cfg.loop = weft_env_uv_loop(f->env);
	cfg.dir = dir;
	cfg.cb = &callbacks;
	cfg.arg = f;
	ret = mgmt_raft_start(&cfg, &f->raft, f->err);
	if (ret) {
		weft_env_uv_destroy(f->env);
		return ret;
	}
	CU_ASSERT(!f->leads);
	run(f);
	CU_ASSERT(f->leads);
	return 0;
}

static void closed(void *arg)
{
	struct fx *f = arg;

	f->raft = NULL;
	weft_env_stop(f->env);
}

static void end(struct fx *f)
{
	mgmt_raft_close(f->raft, closed, f);
	run(f);
	weft_env_uv_destroy(f->env);
}

static void acked(void *arg, int err, const struct mgmt_result *res)
{
	struct fx *f = arg;

	if (err) {
		CU_ASSERT_EQUAL(err, -EAGAIN);
		CU_ASSERT_PTR_NULL(res);
		f->refused++;
	} else {
		CU_ASSERT(res->id > f->last_result);
		f->last_result = res->id;
		f->acked++;
	}
	if (!--f->waiting)
		weft_env_stop(f->env);
}

/* Commands of every length from 4 to 35 bytes: the number is in front. */
static int add(struct fx *f, uint32_t n)
{
	char cmd[40] = { 0 };
	int ret;

	memcpy(cmd, &n, sizeof(n));
	ret = mgmt_log_propose(mgmt_raft_log(f->raft), cmd, sizeof(n) + f->proposed++ % 32, acked,
			       f);

	f->waiting += !ret;
	return ret;
}

static void setup(struct fx *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/weft-raft-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->dir));
}

static void teardown(struct fx *f)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void survives(void)
{
	struct fx f;
	uint32_t i;

	setup(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	CU_ASSERT_EQUAL(f.applied, 0);
	for (i = 1; i <= 10; i++)
		CU_ASSERT_EQUAL(add(&f, i), 0);
	CU_ASSERT_EQUAL(f.acked, 0); /* never from inside */
	run(&f);
	CU_ASSERT_EQUAL(f.acked, 10);
	CU_ASSERT_EQUAL(f.sum, 55);
	end(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	/* everything is applied before leadership is told */
	CU_ASSERT_EQUAL(f.sum, 55);
	CU_ASSERT_EQUAL(f.applied, 10);
	CU_ASSERT_EQUAL(f.restored, 0);
	f.last_result = 0;
	CU_ASSERT_EQUAL(add(&f, 5), 0);
	run(&f);
	CU_ASSERT_EQUAL(f.last_result, 60);
	end(&f);
	teardown(&f);
}

static void snapshots(void)
{
	struct fx f;
	uint32_t i, j;

	setup(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	for (i = 0; i < 30; i++) {
		for (j = 0; j < 100; j++)
			CU_ASSERT_EQUAL_FATAL(add(&f, 1), 0);
		run(&f);
	}
	CU_ASSERT_EQUAL(f.sum, 3000);
	end(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	CU_ASSERT_EQUAL(f.restored, 1);
	CU_ASSERT_EQUAL(f.sum, 3000);
	CU_ASSERT_EQUAL(f.applied, 3000);
	end(&f);
	teardown(&f);
}

static void closing(void)
{
	struct fx f;
	uint32_t i;

	setup(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	for (i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(add(&f, 1), 0);
	mgmt_raft_close(f.raft, closed, &f);
	CU_ASSERT_EQUAL(add(&f, 1), -EAGAIN);
	while (f.raft)
		run(&f);
	weft_env_uv_destroy(f.env);
	/* each proposal got exactly one outcome */
	CU_ASSERT_EQUAL(f.acked + f.refused, 50);
	i = f.acked;
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	CU_ASSERT(f.applied >= i);
	end(&f);
	teardown(&f);
}

/* Damages the closed segment, the one whose name is two numbers. */
static void damage(struct fx *f)
{
	char dir[80], path[400];
	struct dirent *de;
	bool done = false;
	FILE *file;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/raft", f->dir);
	d = opendir(dir);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((de = readdir(d))) {
		if (de->d_name[0] < '0' || de->d_name[0] > '9' || done)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		file = fopen(path, "r+");
		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		fseek(file, 40, SEEK_SET);
		CU_ASSERT_EQUAL(fwrite("damage", 6, 1, file), 1);
		fclose(file);
		done = true;
	}
	closedir(d);
	CU_ASSERT(done);
}

static void damaged(void)
{
	struct fx f;

	setup(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	CU_ASSERT_EQUAL(add(&f, 7), 0);
	run(&f);
	end(&f);
	damage(&f);
	CU_ASSERT_EQUAL(begin(&f), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.err, f.dir));
	/* refused again and again, never repaired by forgetting */
	CU_ASSERT_EQUAL(begin(&f), -EUCLEAN);
	teardown(&f);
}

static void lost(void)
{
	char cmd[128];
	struct fx f;

	setup(&f);
	CU_ASSERT_EQUAL_FATAL(begin(&f), 0);
	CU_ASSERT_EQUAL(add(&f, 7), 0);
	run(&f);
	end(&f);
	snprintf(cmd, sizeof(cmd), "rm -r %s/raft", f.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	CU_ASSERT_EQUAL(begin(&f), -EUCLEAN); /* no new one is made in its place */
	CU_ASSERT_EQUAL(begin(&f), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.err, "lost"));
	teardown(&f);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	weft_log_set_level(WEFT_LOG_ERR);
	s = CU_add_suite("mgmt/raft", NULL, NULL);
	CU_add_test(s, "acknowledged commands survive a restart", survives);
	CU_add_test(s, "snapshots", snapshots);
	CU_add_test(s, "closing ends every proposal", closing);
	CU_add_test(s, "a damaged log is refused", damaged);
	CU_add_test(s, "a lost log is refused", lost);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
