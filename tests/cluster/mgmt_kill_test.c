// SPDX-License-Identifier: Apache-2.0
/*
 * kill -9 of management in the midst of registrations: nothing that was acknowledged is lost.
 *
 * One real weft-mgmt, then a group of three: one of them is killed at a random moment and started
 * again, over and over, while clients and one server register without pause. What is checked: no
 * client id is given twice, an incarnation gets the id it was told before, ids of the server and
 * its target stay the same, the epoch of the map never goes back. The seed is printed; WEFT_SEED
 * repeats it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/env_uv.h"
#include "common/log.h"
#include "common/mgmt_client.h"
#include "common/target.h"
#include "proto/mgmtops.h"

#define MEMBERS_MAX 3
#define PARALLEL 8
#define IDS_MAX 200000
#define LIMIT_S 55

struct reg {
	struct weft_mgmt_call mcall;
	uint64_t incarnation;
};

static struct {
	char dir[64], program[512], addresses[128], raft[128];
	uint8_t fsid[16];
	unsigned int members, youngest, wanted, pause_ms, kills, crashes, seed;
	bool armed;
	pid_t pid[MEMBERS_MAX];
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *rpc;
	struct weft_mapclient *mc;
	struct weft_mgmt_node *node;
	struct weft_timer kill, watchdog;
	struct reg regs[PARALLEL];
	uint64_t next_incarnation;
	uint64_t told[IDS_MAX]; /* session of each incarnation, 0: not answered */
	uint8_t given[IDS_MAX]; /* session ids that were told */
	unsigned int acked, again;
	uint32_t node_id, target_id;
	uint64_t epoch;
	bool ending;
	unsigned int running, passed, failed;
} t;

static void check(bool ok, const char *what)
{
	if (ok) {
		t.passed++;
		return;
	}
	t.failed++;
	printf("FAILED: %s\n", what);
}

/* ---- the daemon */

/*
 * Every other start of a member that is alone has it end by itself at a certain step of a certain
 * request: before a command is logged, or after it was applied and before it is answered.
 */
static void start(unsigned int member)
{
	char config[32], log[32], faults[64];
	int fd;

	t.armed = t.members == 1 && t.kills % 2 && t.kills < t.wanted;
	snprintf(faults, sizeof(faults), "mgmt.%s=crash+%d",
		 rand_r(&t.seed) % 2 ? "answer" : "propose", rand_r(&t.seed) % 20);
	t.youngest = member;
	t.pid[member] = fork();
	if (t.pid[member])
		return;
	if (t.armed)
		setenv("WEFT_FAULTS", faults, 1);
	snprintf(config, sizeof(config), "conf%u", member + 1);
	snprintf(log, sizeof(log), "log%u", member + 1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, 2);
	execl(t.program, t.program, "--config", config, NULL);
	_exit(127);
}

static void end(unsigned int member, int signo, int *status)
{
	kill(t.pid[member], signo);
	waitpid(t.pid[member], status, 0);
}

/* One that shall end by itself is waited for; the watchdog ends a wait that is in vain. */
static void kill_fired(void *arg)
{
	unsigned int member = rand_r(&t.seed) % t.members;
	bool dead;
	int status;

	(void)arg;
	dead = waitpid(t.pid[member], &status, WNOHANG) == t.pid[member];
	if (t.armed && !dead) {
		weft_timer_start(t.env, &t.kill, 10 * WEFT_NS_PER_MS);
		return;
	}
	if (!dead)
		end(member, SIGKILL, &status);
	check(dead == t.armed && WIFSIGNALED(status), "it ends when it shall, see its log");
	t.crashes += dead;
	t.kills++;
	start(member);
	if (t.kills == t.wanted)
		t.ending = true;
	else
		weft_timer_start(t.env, &t.kill,
				 (20 + rand_r(&t.seed) % t.pause_ms) * WEFT_NS_PER_MS);
}

static void too_long(void *arg)
{
	(void)arg;
	check(false, "no end in time");
	t.ending = true;
	weft_env_stop(t.env);
}

/* ---- clients */

static void registered(struct weft_mgmt_call *mcall);

static void send_one(struct reg *r, uint64_t incarnation)
{
	struct weft_client_reg_req q = { .incarnation = cpu_to_le64(incarnation + 1) };

	memset(&r->mcall, 0, sizeof(r->mcall));
	r->incarnation = incarnation;
	r->mcall.call.opcode = WEFT_OP_CLIENT_REGISTER;
	r->mcall.done = registered;
	r->mcall.arg = r;
	if (weft_mapclient_call(t.mc, &r->mcall, &q, sizeof(q), NULL, 0))
		abort();
}

static void take_answer(struct reg *r, uint64_t id)
{
	if (id == 0 || id >= IDS_MAX) {
		check(false, "an impossible client id");
	} else if (t.told[r->incarnation]) {
		t.again++;
		if (t.told[r->incarnation] != id)
			check(false, "an incarnation got another id than before");
	} else {
		if (t.given[id])
			check(false, "a client id was given twice");
		t.given[id] = 1;
		t.told[r->incarnation] = id;
		t.acked++;
	}
}

static void registered(struct weft_mgmt_call *mcall)
{
	const struct weft_client_reg_rep *rep = mcall->call.rep;
	struct reg *r = mcall->arg;

	if (weft_rpc_err(&mcall->call))
		check(false, "a registration was refused");
	else
		take_answer(r, le64_to_cpu(rep->session));
	weft_rpc_call_fini(&mcall->call);
	if (t.ending || t.next_incarnation == IDS_MAX) {
		if (!--t.running)
			weft_env_stop(t.env);
		return;
	}
	/* Some ask again for what they were told lately, as after a lost reply. */
	if (t.next_incarnation > 100 && rand_r(&t.seed) % 4 == 0)
		send_one(r, t.next_incarnation - 1 - rand_r(&t.seed) % 100);
	else
		send_one(r, t.next_incarnation++);
}

/* ---- the server, and the map */

static void node_registered(void *arg, uint32_t node, const uint32_t *ids)
{
	(void)arg;
	check(!t.node_id || t.node_id == node, "the node's id changed");
	check(!t.target_id || t.target_id == ids[0], "the target's id changed");
	t.node_id = node;
	t.target_id = ids[0];
}

static void node_failed(void *arg, int err, const char *sentence)
{
	(void)arg;
	printf("registration refused: %d %s\n", err, sentence);
	check(false, "the server's registration was refused");
}

static void node_usage(void *arg, unsigned int target, struct weft_node_usage *u)
{
	(void)arg;
	(void)target;
	u->bytes_total = 1000;
}

static void map_changed(void *arg, struct weft_map *m)
{
	(void)arg;
	check(m->epoch >= t.epoch, "the epoch went back");
	t.epoch = m->epoch;
}

static void pushed(void *arg, struct weft_rpc_peer *peer, uint16_t opcode, const void *body,
		   size_t len, const void *tail, size_t tail_len)
{
	(void)arg;
	(void)peer;
	(void)tail;
	(void)tail_len;
	if (opcode == WEFT_OP_MAP_PUSH)
		weft_mapclient_push(t.mc, body, len);
}

/* ---- beginning and end */

static int make_member(unsigned int member)
{
	struct weft_target target = { .kind = WEFT_MGT, .fs_name = "kill", .fd = -1 };
	unsigned int port = 10000 + getpid() % 2500 * 4 + member; /* below the ephemeral ones */
	char err[WEFT_TARGET_ERR_MAX], text[64];
	FILE *f;

	snprintf(text, sizeof(text), "%s127.0.0.1:%u", member ? "," : "", port);
	strcat(t.addresses, text);
	snprintf(text, sizeof(text), "%s127.0.0.1:%u", member ? "," : "", port + 10000);
	strcat(t.raft, text);
	snprintf(target.path, sizeof(target.path), "%s/target%u", t.dir, member + 1);
	memcpy(target.fsid, t.fsid, 16);
	if (weft_target_format(&target, 0, err)) {
		printf("%s\n", err);
		return -EIO;
	}
	snprintf(text, sizeof(text), "conf%u", member + 1);
	f = fopen(text, "w");
	if (!f)
		return -errno;
	fprintf(f, "[node]\nname = mgmt%u\nlisten = 127.0.0.1:%u\n[target mgmt]\npath = %s\n",
		member + 1, port, target.path);
	return fclose(f);
}

/* Everybody is told of everybody, in files that are only appended to. */
static int introduce_members(void)
{
	unsigned int member;
	char name[32];
	FILE *f;

	for (member = 0; member < t.members && t.members > 1; member++) {
		snprintf(name, sizeof(name), "conf%u", member + 1);
		f = fopen(name, "a");
		if (!f)
			return -errno;
		fprintf(f, "[mgmt]\nid = %u\nraft = %s\n", member + 1, t.raft);
		fclose(f);
	}
	return 0;
}

static int prepare(void)
{
	const char *build = getenv("WEFT_BUILD");
	unsigned int member;
	int ret = 0;

	snprintf(t.program, sizeof(t.program), "%s/bin/weft-mgmt", build ? build : "build");
	if (t.program[0] != '/' && !realpath(strdupa(t.program), t.program))
		return -errno;
	strcpy(t.dir, "/tmp/weft-mgmt-kill-XXXXXX");
	if (!mkdtemp(t.dir) || chdir(t.dir))
		return -errno;
	t.fsid[0] = 77;
	for (member = 0; member < t.members && !ret; member++)
		ret = make_member(member);
	return ret ? ret : introduce_members();
}

static int connect_all(void)
{
	struct weft_rpc_addr rail = { .host = "127.0.0.1", .port = 7777 };
	struct weft_node_target target = { .kind = WEFT_OST, .uuid = { 1 }, .capacity = 1000 };
	struct weft_rpc_client_cfg rc = { .role = WEFT_ROLE_SERVER, .push = pushed };
	struct weft_mapclient_cfg mc = { .servers = t.addresses, .subscribe = true,
					 .changed = map_changed };
	struct weft_mgmt_node_cfg node = {
		.name = "oss1", .rails = &rail, .nrails = 1, .targets = &target, .ntargets = 1,
		.boot = 5, .registered = node_registered, .failed = node_failed,
		.usage = node_usage,
	};
	int ret = weft_env_uv_create(&t.env);

	if (!ret)
		ret = weft_pool_create(64u << 20, &t.pool);
	rc.env = mc.env = node.env = t.env;
	rc.pool = t.pool;
	memcpy(target.fsid, t.fsid, 16);
	if (!ret)
		ret = weft_rpc_client_create(&rc, &t.rpc);
	mc.rpc = t.rpc;
	if (!ret)
		ret = weft_mapclient_create(&mc, &t.mc);
	node.mc = t.mc;
	if (!ret)
		ret = weft_mgmt_node_start(&node, &t.node);
	if (!ret)
		weft_mapclient_refresh(t.mc, 0);
	return ret;
}

static void finish(void)
{
	char clean[96];
	unsigned int i;
	int status;

	check(t.kills == t.wanted, "as many kills as wanted");
	check(t.acked > 200, "registrations went on between the kills");
	check(t.again > 20, "some asked again");
	check(t.node_id == 1 && t.target_id == 1, "the server was registered");
	check(t.epoch >= 2, "a map came");
	check(t.members > 1 || t.crashes == t.wanted / 2, "it crashed where it should");
	printf("%u members, %u kills, %u of them at a step, %u registrations, %u asked again\n",
	       t.members, t.kills, t.crashes, t.acked, t.again);
	weft_mapclient_destroy(t.mc);
	weft_mgmt_node_destroy(t.node);
	weft_rpc_client_destroy(t.rpc);
	weft_env_uv_destroy(t.env);
	weft_pool_destroy(t.pool);
	for (i = 0; i < t.members; i++) {
		end(i, SIGTERM, &status);
		/* The one that was started last may not have come to where it waits for signals. */
		check((WIFEXITED(status) && !WEXITSTATUS(status)) ||
		      (i == t.youngest && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM),
		      "SIGTERM ends with status 0");
	}
	if (!t.failed) {
		snprintf(clean, sizeof(clean), "rm -rf %s", t.dir);
		check(!system(clean), "cleaned up");
	} else {
		printf("left in %s\n", t.dir);
	}
}

static int scenario(unsigned int members, unsigned int kills, unsigned int pause_ms)
{
	unsigned int passed = t.passed, failed = t.failed, seed = t.seed, i;

	memset(&t, 0, sizeof(t));
	t.members = members;
	t.wanted = kills;
	t.pause_ms = pause_ms;
	t.passed = passed;
	t.failed = failed;
	t.seed = seed;
	if (prepare() || connect_all()) {
		perror("cannot prepare");
		return -1;
	}
	weft_timer_init(&t.kill, kill_fired, NULL);
	weft_timer_init(&t.watchdog, too_long, NULL);
	for (i = 0; i < members; i++)
		start(i);
	weft_timer_start(t.env, &t.kill, 300 * WEFT_NS_PER_MS);
	weft_timer_start(t.env, &t.watchdog, LIMIT_S * WEFT_NS_PER_S);
	for (i = 0; i < PARALLEL; i++, t.running++)
		send_one(&t.regs[i], t.next_incarnation++);
	weft_env_uv_run(t.env);
	finish();
	return 0;
}

int main(void)
{
	const char *seed = getenv("WEFT_SEED");

	weft_log_init("test");
	weft_log_set_level(WEFT_LOG_ERR);
	t.seed = seed ? strtoul(seed, NULL, 10) : (unsigned int)time(NULL) ^ getpid();
	printf("seed %u\n", t.seed);
	if (scenario(1, 24, 400) || scenario(3, 8, 3000))
		return 2;
	printf("%u passed, %u failed\n", t.passed, t.failed);
	return t.failed ? 1 : 0;
}
