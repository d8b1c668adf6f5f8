// SPDX-License-Identifier: Apache-2.0
/*
 * weft target stats: the counters of targets, asked from the servers themselves.
 *
 * Management tells where the targets are; all are asked at once, each on a connection of its own.
 * The answers are JSON objects: their numbers become rows, those of an object inside get its name
 * in front. A server that is down or does not answer in time is told on stderr, and the status is
 * 1; the rows of the others are printed all the same.
 *
 * An answer is a server's: its size is bounded, and what is not an object is an error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/env_uv.h"
#include "common/rpc/client.h"
#include "common/status.h"
#include "common/target.h"
#include "tools/weft/weft.h"

#define POOL_LIMIT (64u << 20)
#define ANSWER_MAX (64u << 10)

/* The request to one target. */
struct ask {
	struct weft_rpc_call call;
	struct weft_rpc_peer *peer;
	const Weft__Target *target;
	const char *node; /* name of its node */
	bool started;
	int err; /* why it was not even asked */
	struct gather *gather;
};

struct gather {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *rpc;
	struct ask *asks;
	size_t n, pending;
};

static unsigned int node_addrs(const Weft__Node *node, struct weft_rpc_addr *addrs)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < node->n_rails && n < WEFT_RPC_ADDRS_MAX; i++) {
		const Weft__Rail *r = node->rails[i];
		bool v4 = r->addr.len == 16 && !memcmp(r->addr.data, mapped, sizeof(mapped));

		if (r->kind != WEFT_RAIL_TCP || r->addr.len != 16 || !r->port || r->port > 65535)
			continue;
		inet_ntop(v4 ? AF_INET : AF_INET6, r->addr.data + (v4 ? 12 : 0), addrs[n].host,
			  sizeof(addrs[n].host));
		addrs[n++].port = r->port;
	}
	return n;
}

static void answered(struct weft_rpc_call *call)
{
	struct gather *g = ((struct ask *)call->arg)->gather;

	if (!--g->pending)
		weft_env_stop(g->env);
}

static int ask_start(struct ask *a, const Weft__Node *node, uint32_t timeout_ms)
{
	struct weft_rpc_addr addrs[WEFT_RPC_ADDRS_MAX];
	static const char line[] = "stats";
	struct weft_admin_req body = { 0 };
	unsigned int n = node ? node_addrs(node, addrs) : 0;
	int ret;

	if (!n)
		return -EADDRNOTAVAIL;
	a->node = node->name;
	ret = weft_rpc_peer_create(a->gather->rpc, a->target->id, 1, addrs, n, NULL, &a->peer);
	if (!ret)
		ret = weft_sg_add(&a->call.bulk_out, NULL, (void *)line, strlen(line));
	if (ret)
		return ret;
	a->call.opcode = WEFT_OP_ADMIN;
	a->call.flags = WEFT_CALL_NO_WAIT;
	a->call.timeout_ms = timeout_ms;
	a->call.bulk_max = ANSWER_MAX;
	a->call.done = answered;
	a->call.arg = a;
	ret = weft_rpc_call_start(a->peer, &a->call, &body, sizeof(body), NULL, 0);
	a->started = !ret;
	return ret;
}

static void add_row(json_t *rows, const struct ask *a, const char *of, const char *name,
		    const json_t *value)
{
	char counter[128];

	if (!json_is_integer(value))
		return;
	snprintf(counter, sizeof(counter), "%s%s%s", of, *of ? "." : "", name);
	json_array_append_new(rows, json_pack("{s:I, s:s, s:s, s:s, s:I}", "target",
					      (json_int_t)a->target->id, "type",
					      weft_target_kind_name(a->target->kind), "node",
					      a->node, "counter", counter, "value",
					      json_integer_value(value)));
}

/* Return: 0, or -EPROTO for an answer that is no JSON object. */
static int add_rows(json_t *rows, const struct ask *a)
{
	char *text = malloc(a->call.bulk_in.len + 1);
	json_t *all, *value, *inner;
	const char *name, *of;
	size_t len;

	if (!text)
		return -ENOMEM;
	len = weft_sg_read(&a->call.bulk_in, 0, text, a->call.bulk_in.len);
	all = json_loadb(text, len, 0, NULL);
	free(text);
	if (!json_is_object(all)) {
		json_decref(all);
		return -EPROTO;
	}
	json_object_foreach(all, of, value) {
		add_row(rows, a, "", of, value);
		json_object_foreach(value, name, inner)
			add_row(rows, a, of, name, inner);
	}
	json_decref(all);
	return 0;
}

/* The rows of one target. Return: 0, or an exit status after the message. */
static int take_answer(const struct ask *a, json_t *rows)
{
	int ret = a->started ? weft_rpc_err(&a->call) : a->err;

	if (!ret)
		ret = add_rows(rows, a);
	if (!ret)
		return 0;
	return weft_say(WEFT_EXIT_FAILED, "target %u on %s%s: %s", a->target->id,
			a->node ? a->node : "an unknown node", a->target->up ? "" : " (down)",
			weft_strstatus(ret < 0 ? -ret : ret));
}

static int gather_init(struct gather *g, const struct weft_conf *conf, const uint8_t fsid[16])
{
	struct weft_rpc_client_cfg cfg = { .role = WEFT_ROLE_TOOL };
	int ret;

	g->asks = calloc(g->n + 1, sizeof(*g->asks));
	if (!g->asks)
		return -ENOMEM;
	ret = weft_env_uv_create(&g->env);
	if (!ret)
		ret = weft_pool_create(POOL_LIMIT, &g->pool);
	if (ret)
		return ret;
	cfg.env = g->env;
	cfg.pool = g->pool;
	cfg.secret = conf->secret.len ? conf->secret.data : NULL;
	cfg.secret_len = conf->secret.len;
	memcpy(cfg.fsid, fsid, sizeof(cfg.fsid));
	return weft_rpc_client_create(&cfg, &g->rpc);
}

static void gather_fini(struct gather *g)
{
	size_t i;

	for (i = 0; g->asks && i < g->n; i++) {
		weft_rpc_call_fini(&g->asks[i].call);
		weft_rpc_peer_destroy(g->asks[i].peer);
	}
	weft_rpc_client_destroy(g->rpc);
	if (g->env)
		weft_env_uv_destroy(g->env);
	weft_pool_destroy(g->pool);
	free(g->asks);
}

/* Ask all of @targets, wait, make rows. Return: an exit status. */
static int gather(const struct weft_cmd *cmd, const Weft__Listing *l,
		  const ProtobufCBinaryData *fsid, Weft__Target **targets, size_t n, json_t *rows)
{
	char err[WEFT_CONFIG_ERR_MAX];
	struct gather g = { .n = n };
	struct weft_conf conf;
	int ret, status = 0;
	size_t i;

	if (fsid->len != 16)
		return weft_say(WEFT_EXIT_FAILED, "management's answer has no file system id");
	if (weft_conf_load(cmd->config, cmd->mgmt, &conf, err))
		return weft_say(WEFT_EXIT_USAGE, "%s", err);
	ret = gather_init(&g, &conf, fsid->data);
	weft_secret_wipe(&conf.secret);
	if (ret) {
		status = weft_say(WEFT_EXIT_FAILED, "%s", strerror(-ret));
		goto out_fini;
	}
	for (i = 0; i < n; i++) {
		struct ask *a = &g.asks[i];

		a->gather = &g;
		a->target = targets[i];
		a->err = ask_start(a, weft_node_of(l, a->target->node), cmd->timeout_ms);
		g.pending += a->started;
	}
	if (g.pending)
		weft_env_uv_run(g.env);
	for (i = 0; i < n; i++)
		status = take_answer(&g.asks[i], rows) ?: status;
out_fini:
	gather_fini(&g);
	return status;
}

/* Puts the targets that the arguments name first. Return: how many, 0 after a message. */
static size_t choose(Weft__Listing *l, int argc, char **argv, int *status)
{
	size_t n = 0, k;
	uint64_t id;
	int i;

	for (i = 0; i < argc; i++) {
		if (weft_parse_size(argv[i], &id)) {
			*status = weft_say(WEFT_EXIT_USAGE, "\"%s\" is no target id", argv[i]);
			return 0;
		}
		for (k = 0; k < l->n_targets && l->targets[k]->id != id; k++)
			;
		if (k == l->n_targets) {
			*status = weft_say(WEFT_EXIT_FAILED,
					   "no target %s; \"weft target list\" lists them", argv[i]);
			return 0;
		}
		if (k >= n) { /* not named before */
			Weft__Target *t = l->targets[n];

			l->targets[n++] = l->targets[k];
			l->targets[k] = t;
		}
	}
	return argc ? n : l->n_targets;
}

int weft_cmd_target_stats(struct weft_cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = { WEFT_COMMON_OPTIONS, { NULL, 0, NULL, 0 } };
	static const struct weft_column columns[] = {
		{ "target", "TARGET", 0 },   { "type", "TYPE", 0 },   { "node", "NODE", 0 },
		{ "counter", "COUNTER", 0 }, { "value", "VALUE", 0 }, { NULL, NULL, 0 },
	};
	Weft__AdminReply *fs, *list;
	json_t *rows = NULL;
	int status = 0;
	size_t n;

	if (weft_getopt(cmd, argc, argv, options, &status) == -2)
		return status;
	status = weft_ask_status(cmd, &fs);
	if (status)
		return status;
	status = weft_ask_listing(cmd, false, &list);
	if (status)
		goto out_fs;
	n = choose(list->listing, argc - optind, argv + optind, &status);
	if (status)
		goto out_list;
	rows = json_array();
	status = gather(cmd, list->listing, &fs->status->fsid, list->listing->targets, n, rows);
	if (json_array_size(rows) && weft_report_rows(rows, columns, cmd->json))
		status = weft_say(WEFT_EXIT_FAILED, "cannot write");
	json_decref(rows);
out_list:
	weft__admin_reply__free_unpacked(list, NULL);
out_fs:
	weft__admin_reply__free_unpacked(fs, NULL);
	return status;
}
