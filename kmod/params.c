// SPDX-License-Identifier: GPL-2.0
/*
 * Mount options.
 *
 * The source is "host[:port][,host...]:/[dir]". mount.weft resolves the hosts and passes their
 * addresses as mgmt=ADDR:PORT[+ADDR:PORT...]; without that option the hosts in the source must be
 * addresses themselves. Whatever is unknown or malformed is refused with a sentence in the log of
 * the fs_context (which mount.weft prints), as -EINVAL. The secret comes as a binary parameter and
 * appears nowhere again. net= says what carries requests to metadata and data targets (management
 * is always reached by TCP), rails=SUBNET[+SUBNET...] which of their addresses may be used.
 *
 * A context belongs to one task (fc->uapi_mutex): nothing here needs a lock.
 */
#include <linux/fs_parser.h>
#include <linux/inet.h>
#include <linux/nsproxy.h>
#include <linux/seq_file.h>
#include <linux/utsname.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include "internal.h"

#define WEFT_SECRET_MAX 4096

static const char *const weft_net_names[] = {
	[WEFT_NET_AUTO] = "auto",
	[WEFT_NET_TCP] = "tcp",
	[WEFT_NET_RDMA] = "rdma",
};

enum { Opt_source, Opt_mgmt, Opt_net, Opt_rails, Opt_conns, Opt_port, Opt_secret, Opt_checksum };

const struct fs_parameter_spec weft_params[] = {
	fsparam_string("source", Opt_source),
	fsparam_string("mgmt", Opt_mgmt),
	fsparam_string("net", Opt_net),
	fsparam_string("rails", Opt_rails),
	fsparam_u32("conns", Opt_conns),
	fsparam_u32("port", Opt_port),
	__fsparam(fs_param_is_blob, "secret", Opt_secret, 0, NULL),
	fsparam_flag_no("checksum", Opt_checksum),
	{}
};

/* struct weft_fc - options while they are being collected */
struct weft_fc {
	struct weft_mount_opts *opts;
	struct net *net;
	u32 port;
	bool reconfigured; /* an option of ours was given to a remount */
};

void weft_opts_free(struct weft_mount_opts *opts)
{
	if (!opts)
		return;
	kfree_sensitive(opts->secret);
	kfree(opts->subdir);
	kfree(opts);
}

/* One address: "1.2.3.4", "1.2.3.4:7420", "fe80::1", "[fe80::1]:7420". Changes @text. */
static int weft_parse_addr(struct fs_context *fc, struct weft_fc *wfc, char *text)
{
	struct weft_connect_opts *co = &wfc->opts->connect;
	char portbuf[8], *host = text, *port = NULL, *end;

	if (co->nmgmt == WEFT_MGMT_MAX)
		return invalfc(fc, "more than %d management servers", WEFT_MGMT_MAX);
	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return invalfc(fc, "malformed address of a management server: %s", text);
		*end = 0;
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(text, ':');
		if (end && !strchr(end + 1, ':')) { /* one colon only: not IPv6 */
			*end = 0;
			port = end + 1;
		}
	}
	if (!port) {
		snprintf(portbuf, sizeof(portbuf), "%u", wfc->port);
		port = portbuf;
	}
	if (inet_pton_with_scope(wfc->net, AF_UNSPEC, host, port, &co->mgmt[co->nmgmt]))
		return invalfc(fc, "management server %s port %s is not an address (mount.weft resolves names)",
			      host, port);
	co->nmgmt++;
	return 0;
}

static int weft_parse_addrs(struct fs_context *fc, struct weft_fc *wfc, const char *list,
			    const char *separators)
{
	char *copy = kstrdup(list, GFP_KERNEL), *rest = copy, *one;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	while (!ret && (one = strsep(&rest, separators)))
		ret = *one ? weft_parse_addr(fc, wfc, one) :
			     invalfc(fc, "empty address in the list of management servers: %s", list);
	kfree(copy);
	return ret;
}

/* "hosts:/dir": remember the directory; the hosts are looked at when there is no mgmt option. */
static int weft_parse_source(struct fs_context *fc, struct weft_fc *wfc, struct fs_parameter *param)
{
	char *dir = strstr(param->string, ":/");

	if (fc->source)
		return invalfc(fc, "more than one source");
	if (!dir)
		return invalfc(fc, "source %s is not of the form host[:port][,host...]:/[dir]",
			      param->string);
	for (dir++; *dir == '/'; dir++)
		;
	kfree(wfc->opts->subdir);
	wfc->opts->subdir = kstrdup(dir, GFP_KERNEL);
	if (!wfc->opts->subdir)
		return -ENOMEM;
	fc->source = param->string;
	param->string = NULL;
	return 0;
}

static int weft_parse_net(struct fs_context *fc, struct weft_fc *wfc, const char *net)
{
	int mode = match_string(weft_net_names, ARRAY_SIZE(weft_net_names), net);

	if (mode < 0)
		return invalfc(fc, "net=%s: must be tcp, rdma or auto", net);
	wfc->opts->connect.mode = mode;
	return 0;
}

/*
 * One subnet: "10.1.0.0/16", "fd00:1::/64", or an IPv4 address of this host, for the subnet of its
 * interface (of another host: that address alone). Changes @text.
 */
static int weft_parse_rail(struct fs_context *fc, struct weft_fc *wfc, char *text)
{
	struct weft_connect_opts *co = &wfc->opts->connect;
	struct weft_subnet *sub = &co->subnets[co->nsubnets];
	char *slash = strchr(text, '/');
	unsigned int bits = 0;
	__be32 v4;

	if (co->nsubnets == WEFT_SUBNETS_MAX)
		return invalfc(fc, "more than %d rails", WEFT_SUBNETS_MAX);
	if (slash) {
		*slash = 0;
		if (kstrtouint(slash + 1, 10, &bits))
			return invalfc(fc, "rails: prefix /%s of %s is not a number", slash + 1, text);
	}
	if (in4_pton(text, -1, (u8 *)&v4, -1, NULL)) {
		ipv6_addr_set_v4mapped(v4, &sub->addr);
		if (!slash)
			bits = weft_subnet_local(wfc->net, v4);
		sub->bits = bits + 96;
	} else if (slash && in6_pton(text, -1, sub->addr.s6_addr, -1, NULL)) {
		sub->bits = bits;
	} else {
		return invalfc(fc, "rails: %s is not ADDRESS/BITS or an IPv4 address", text);
	}
	if (sub->bits > 128)
		return invalfc(fc, "rails: prefix /%u of %s is too long", bits, text);
	co->nsubnets++;
	return 0;
}

static int weft_parse_rails(struct fs_context *fc, struct weft_fc *wfc, const char *list)
{
	char *copy = kstrdup(list, GFP_KERNEL), *rest = copy, *one;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	wfc->opts->connect.nsubnets = 0;
	while (!ret && (one = strsep(&rest, "+")))
		ret = weft_parse_rail(fc, wfc, one);
	kfree(copy);
	return ret;
}

static int weft_parse_secret(struct fs_context *fc, struct weft_fc *wfc,
			     const struct fs_parameter *param)
{
	if (!param->size || param->size > WEFT_SECRET_MAX)
		return invalfc(fc, "secret: 1 to %d bytes", WEFT_SECRET_MAX);
	kfree_sensitive(wfc->opts->secret);
	wfc->opts->secret = kmemdup(param->blob, param->size, GFP_KERNEL);
	if (!wfc->opts->secret)
		return -ENOMEM;
	wfc->opts->connect.secret_len = param->size;
	return 0;
}

static int weft_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct weft_fc *wfc = fc->fs_private;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, weft_params, param, &result);
	if (opt < 0)
		return opt;
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE && opt != Opt_source) {
		wfc->reconfigured = true;
		return 0;
	}
	switch (opt) {
	case Opt_source:
		if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE)
			return 0;
		return weft_parse_source(fc, wfc, param);
	case Opt_mgmt:
		if (strscpy(wfc->opts->mgmt, param->string, WEFT_MGMT_TEXT) < 0)
			return invalfc(fc, "mgmt: longer than %d bytes", WEFT_MGMT_TEXT - 1);
		return 0;
	case Opt_net:
		return weft_parse_net(fc, wfc, param->string);
	case Opt_rails:
		return weft_parse_rails(fc, wfc, param->string);
	case Opt_conns:
		if (!result.uint_32 || result.uint_32 > WEFT_CONNS_MAX)
			return invalfc(fc, "conns=%u: must be 1 to %d", result.uint_32,
				      WEFT_CONNS_MAX);
		wfc->opts->connect.conns = result.uint_32;
		return 0;
	case Opt_port:
		if (!result.uint_32 || result.uint_32 > U16_MAX)
			return invalfc(fc, "port=%u: must be 1 to 65535", result.uint_32);
		wfc->port = result.uint_32;
		return 0;
	case Opt_secret:
		return weft_parse_secret(fc, wfc, param);
	case Opt_checksum:
		wfc->opts->connect.checksum = !result.negated;
		return 0;
	}
	return -EINVAL;
}

/* Management servers from mgmt=, or from the source when it holds addresses. */
static int weft_find_mgmt(struct fs_context *fc, struct weft_fc *wfc)
{
	char *hosts;
	int ret;

	if (wfc->opts->mgmt[0])
		return weft_parse_addrs(fc, wfc, wfc->opts->mgmt, "+");
	hosts = kstrndup(fc->source, strstr(fc->source, ":/") - fc->source, GFP_KERNEL);
	if (!hosts)
		return -ENOMEM;
	if (strlen(hosts) >= WEFT_MGMT_TEXT)
		ret = invalfc(fc, "source is too long");
	else
		ret = weft_parse_addrs(fc, wfc, hosts, ",");
	if (!ret) {
		strscpy(wfc->opts->mgmt, hosts, WEFT_MGMT_TEXT);
		strreplace(wfc->opts->mgmt, ',', '+');
	}
	kfree(hosts);
	return ret;
}

static int weft_fc_get_tree(struct fs_context *fc)
{
	struct weft_fc *wfc = fc->fs_private;
	struct weft_connect_opts *co = &wfc->opts->connect;
	int ret;

	if (!fc->source)
		return invalfc(fc, "no source given");
	ret = weft_find_mgmt(fc, wfc);
	if (ret)
		return ret;
	co->net = wfc->net;
	co->secret = wfc->opts->secret;
	co->hostname = utsname()->nodename;
	fc->s_fs_info = wfc->opts; /* weft_get_tree() takes the options over */
	ret = weft_get_tree(fc);
	if (!fc->s_fs_info)
		wfc->opts = NULL;
	fc->s_fs_info = NULL;
	return ret;
}

static int weft_fc_reconfigure(struct fs_context *fc)
{
	struct weft_fc *wfc = fc->fs_private;

	if (wfc->reconfigured)
		return invalfc(fc, "only ro, rw and the like can be changed by a remount");
	sync_filesystem(fc->root->d_sb);
	return 0;
}

static void weft_fc_free(struct fs_context *fc)
{
	struct weft_fc *wfc = fc->fs_private;

	if (!wfc)
		return;
	weft_opts_free(wfc->opts);
	put_net(wfc->net);
	kfree(wfc);
}

static const struct fs_context_operations weft_context_ops = {
	.free = weft_fc_free,
	.parse_param = weft_parse_param,
	.get_tree = weft_fc_get_tree,
	.reconfigure = weft_fc_reconfigure,
};

int weft_init_fs_context(struct fs_context *fc)
{
	struct weft_fc *wfc = kzalloc(sizeof(*wfc), GFP_KERNEL);

	if (!wfc)
		return -ENOMEM;
	wfc->opts = kzalloc(sizeof(*wfc->opts), GFP_KERNEL);
	if (!wfc->opts) {
		kfree(wfc);
		return -ENOMEM;
	}
	wfc->opts->connect.mode = WEFT_NET_AUTO;
	wfc->opts->connect.conns = WEFT_CONNS_DEFAULT;
	wfc->port = WEFT_DEFAULT_PORT;
	wfc->net = get_net(current->nsproxy->net_ns);
	fc->fs_private = wfc;
	fc->ops = &weft_context_ops;
	return 0;
}

static void weft_show_subnet(struct seq_file *m, bool first, const struct weft_subnet *sub)
{
	seq_puts(m, first ? ",rails=" : "+");
	if (ipv6_addr_v4mapped(&sub->addr))
		seq_printf(m, "%pI4/%u", &sub->addr.s6_addr32[3], sub->bits - 96);
	else
		seq_printf(m, "%pI6c/%u", &sub->addr, sub->bits);
}

int weft_show_options(struct seq_file *m, struct dentry *root)
{
	unsigned int i;
	const struct weft_mount_opts *opts = WEFT_SB(root->d_sb)->opts;

	seq_show_option(m, "mgmt", opts->mgmt);
	seq_show_option(m, "net", weft_net_names[opts->connect.mode]);
	seq_printf(m, ",transport=%s", weft_fs_transport(WEFT_SB(root->d_sb)->fs));
	for (i = 0; i < opts->connect.nsubnets; i++)
		weft_show_subnet(m, !i, &opts->connect.subnets[i]);
	seq_printf(m, ",conns=%u", opts->connect.conns);
	if (opts->connect.checksum)
		seq_puts(m, ",checksum");
	return 0;
}
