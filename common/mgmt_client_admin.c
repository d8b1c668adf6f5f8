// SPDX-License-Identifier: Apache-2.0
/*
 * Synchronous admin calls: a loop, an rpc client and a link to management, run until the answer is
 * there or the time is over.
 */
#include "common/mgmt_client_admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/env_uv.h"
#include "common/mapclient.h"
#include "common/status.h"

#define POOL_LIMIT (64u << 20)

struct weft_admin {
	struct weft_env *env;
	struct weft_pool *pool;
	struct weft_rpc_client *rpc;
	struct weft_mapclient *mc;
	char *mgmt;
	uint32_t timeout_ms;
};

int weft_admin_open(const char *mgmt, const struct weft_secret *secret, uint32_t timeout_ms,
		    struct weft_admin **out, char err[WEFT_ADMIN_ERR_MAX])
{
	struct weft_rpc_client_cfg rpc = { .role = WEFT_ROLE_TOOL };
	struct weft_admin *a = calloc(1, sizeof(*a));
	struct weft_mapclient_cfg mc = { 0 };
	int ret = -ENOMEM;

	if (!a)
		goto out_err;
	a->timeout_ms = timeout_ms;
	a->mgmt = strdup(mgmt);
	if (!a->mgmt)
		goto out_close;
	ret = weft_env_uv_create(&a->env);
	if (!ret)
		ret = weft_pool_create(POOL_LIMIT, &a->pool);
	if (ret)
		goto out_close;
	rpc.env = a->env;
	rpc.pool = a->pool;
	rpc.secret = secret && secret->len ? secret->data : NULL;
	rpc.secret_len = secret ? secret->len : 0;
	ret = weft_rpc_client_create(&rpc, &a->rpc);
	if (ret)
		goto out_close;
	mc.env = a->env;
	mc.rpc = a->rpc;
	mc.servers = a->mgmt;
	ret = weft_mapclient_create(&mc, &a->mc);
	if (!ret) {
		*out = a;
		return 0;
	}
out_close:
	weft_admin_close(a);
out_err:
	snprintf(err, WEFT_ADMIN_ERR_MAX, "management addresses \"%s\": %s", mgmt, strerror(-ret));
	return ret;
}

static void call_done(struct weft_mgmt_call *mcall)
{
	struct weft_admin *a = mcall->arg;

	weft_env_stop(a->env);
}

/* The answer of a finished call: 0 or the errno of whatever went wrong, with a sentence. */
static int take_reply(struct weft_admin *a, struct weft_rpc_call *call, Weft__AdminReply **rep,
		      char *err)
{
	int ret = weft_rpc_err(call);
	uint8_t *flat;

	if (ret) {
		snprintf(err, WEFT_ADMIN_ERR_MAX, "management (%s): %s", a->mgmt,
			 weft_strstatus(ret < 0 ? -ret : ret));
		return ret < 0 ? ret : weft_status_errno(ret);
	}
	flat = malloc(call->bulk_in.len + 1);
	if (!flat)
		return -ENOMEM;
	weft_sg_read(&call->bulk_in, 0, flat, call->bulk_in.len);
	*rep = weft__admin_reply__unpack(NULL, call->bulk_in.len, flat);
	free(flat);
	if (!*rep) {
		snprintf(err, WEFT_ADMIN_ERR_MAX, "management (%s): answer cannot be understood",
			 a->mgmt);
		return -EPROTO;
	}
	if (!(*rep)->error)
		return 0;
	ret = -(int)(*rep)->error;
	snprintf(err, WEFT_ADMIN_ERR_MAX, "%s", (*rep)->message);
	weft__admin_reply__free_unpacked(*rep, NULL);
	*rep = NULL;
	return ret;
}

int weft_admin_call(struct weft_admin *a, const Weft__AdminRequest *q, Weft__AdminReply **rep,
		    char err[WEFT_ADMIN_ERR_MAX])
{
	size_t len = weft__admin_request__get_packed_size(q);
	struct weft_admin_req body = { 0 };
	struct weft_mgmt_call mcall = { 0 };
	uint8_t *buf = malloc(len + 1);
	int ret = -ENOMEM;

	*rep = NULL;
	snprintf(err, WEFT_ADMIN_ERR_MAX, "%s", strerror(ENOMEM));
	if (!buf)
		return ret;
	weft__admin_request__pack(q, buf);
	if (len && weft_sg_add(&mcall.call.bulk_out, NULL, buf, len))
		goto out_free;
	mcall.call.opcode = WEFT_OP_ADMIN;
	mcall.call.bulk_max = WEFT_BULK_MAX;
	mcall.call.timeout_ms = a->timeout_ms;
	mcall.done = call_done;
	mcall.arg = a;
	ret = weft_mapclient_call(a->mc, &mcall, &body, sizeof(body), NULL, 0);
	if (ret) {
		weft_sg_fini(&mcall.call.bulk_out);
		goto out_free;
	}
	weft_env_uv_run(a->env);
	ret = take_reply(a, &mcall.call, rep, err);
	weft_rpc_call_fini(&mcall.call);
out_free:
	free(buf);
	return ret;
}

void weft_admin_close(struct weft_admin *a)
{
	if (!a)
		return;
	weft_mapclient_destroy(a->mc);
	weft_rpc_client_destroy(a->rpc);
	if (a->env)
		weft_env_uv_destroy(a->env);
	weft_pool_destroy(a->pool);
	free(a->mgmt);
	free(a);
}
