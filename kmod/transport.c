// SPDX-License-Identifier: GPL-2.0
/*
 * The list of transports. TCP is always there; others are loaded when a mount asks for them by
 * name. A mount holds its transport's module. transports_lock protects the list.
 */
#include <linux/kmod.h>
#include <linux/slab.h>
#include "kmod/rpc.h"
#include "kmod/transport.h"

EXPORT_SYMBOL_GPL(weft_hdr_check); /* proto knows no modules */

static DEFINE_SPINLOCK(transports_lock);
static const struct weft_xprt_ops *transports[4] = { &weft_tcp_ops };

void weft_xprt_init(struct weft_xprt *x, const struct weft_xprt_ops *ops, struct weft_link *link)
{
	x->ops = ops;
	x->link = link;
	kref_init(&x->ref);
}
EXPORT_SYMBOL_GPL(weft_xprt_init);

void weft_xprt_get(struct weft_xprt *x)
{
	kref_get(&x->ref);
}
EXPORT_SYMBOL_GPL(weft_xprt_get);

static void xprt_release(struct kref *ref)
{
	struct weft_xprt *x = container_of(ref, struct weft_xprt, ref);

	x->ops->free(x);
}

void weft_xprt_put(struct weft_xprt *x)
{
	kref_put(&x->ref, xprt_release);
}
EXPORT_SYMBOL_GPL(weft_xprt_put);

int weft_xprt_register(const struct weft_xprt_ops *ops)
{
	int ret = -EEXIST;
	size_t i;

	spin_lock(&transports_lock);
	for (i = 0; i < ARRAY_SIZE(transports); i++) {
		if (transports[i] && strcmp(transports[i]->name, ops->name))
			continue;
		if (!transports[i]) {
			transports[i] = ops;
			ret = 0;
		}
		break;
	}
	spin_unlock(&transports_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(weft_xprt_register);

void weft_xprt_unregister(const struct weft_xprt_ops *ops)
{
	size_t i;

	spin_lock(&transports_lock);
	for (i = 0; i < ARRAY_SIZE(transports); i++)
		if (transports[i] == ops)
			transports[i] = NULL;
	spin_unlock(&transports_lock);
}
EXPORT_SYMBOL_GPL(weft_xprt_unregister);

static const struct weft_xprt_ops *xprt_get_ops(const char *name)
{
	const struct weft_xprt_ops *ops = NULL;
	size_t i;

	spin_lock(&transports_lock);
	for (i = 0; i < ARRAY_SIZE(transports) && !ops; i++)
		if (transports[i] && !strcmp(transports[i]->name, name) &&
		    try_module_get(transports[i]->owner))
			ops = transports[i];
	spin_unlock(&transports_lock);
	return ops;
}

const struct weft_xprt_ops *weft_xprt_find(const char *name)
{
	const struct weft_xprt_ops *ops = xprt_get_ops(name);

	if (!ops) {
		request_module("weft_%s", name);
		ops = xprt_get_ops(name);
	}
	return ops;
}

void weft_xprt_release(const struct weft_xprt_ops *ops)
{
	module_put(ops->owner);
}
