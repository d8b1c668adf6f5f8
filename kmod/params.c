// SPDX-License-Identifier: GPL-2.0
/*
 * Mount options.
 *
 * The source is "host[:port][,host...]:/[dir]". mount.weft resolves the hosts and passes their
 * addresses as mgmt=ADDR:PORT[+ADDR:PORT...]; without that option the hosts in the source must be
 * addresses themselves. Whatever is unknown or malformed is refused with a sentence in the log of
 * the fs_context (which mount.weft prints), as -EINVAL. The secret comes as a binary parameter and
 * appears nowhere again.
 *
 * A context belongs to one task (fc->uapi_mutex): nothing here needs a lock.
 */
#include <linux/fs_parser.h>
#include <linux/inet.h>
#include <linux/nsproxy.h>
#include <linux/seq_file.h>
#include <linux/utsname.h>
#include <net/net_namespace.h>
#include "internal.h"

#define WEFT_SECRET_MAX 4096

enum { Opt_source, Opt_mgmt, Opt_net, Opt_conns, Opt_port, Opt_secret, Opt_checksum };

const struct fs_parameter_spec weft_params[] = {
	fsparam_string("source", Opt_source),
	fsparam_string("mgmt", Opt_mgmt),
	fsparam_string("net", Opt_net),
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
	if (!strcmp(net, "rdma"))
		return invalfc(fc, "net=rdma: this module has no RDMA transport; use net=tcp or net=auto");
	if (strcmp(net, "tcp") && strcmp(net, "auto"))
		return invalfc(fc, "net=%s: must be tcp, rdma or auto", net);
	strscpy(wfc->opts->transport, net, sizeof(wfc->opts->transport));
	return 0;
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
	co->transport = "tcp"; /* also what auto comes to while there is no other */
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
	strscpy(wfc->opts->transport, "auto", sizeof(wfc->opts->transport));
	wfc->opts->connect.conns = WEFT_CONNS_DEFAULT;
	wfc->port = WEFT_DEFAULT_PORT;
	wfc->net = get_net(current->nsproxy->net_ns);
	fc->fs_private = wfc;
	fc->ops = &weft_context_ops;
	return 0;
}

int weft_show_options(struct seq_file *m, struct dentry *root)
{
	const struct weft_mount_opts *opts = WEFT_SB(root->d_sb)->opts;

	seq_show_option(m, "mgmt", opts->mgmt);
	seq_show_option(m, "net", opts->transport);
	seq_printf(m, ",conns=%u", opts->connect.conns);
	if (opts->connect.checksum)
		seq_puts(m, ",checksum");
	return 0;
}
