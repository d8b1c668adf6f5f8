// SPDX-License-Identifier: Apache-2.0
/* Any text as a configuration file: accepted, or refused with a sentence. */
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weft_config_key keys[] = {
	{ "node", "id", WEFT_CONFIG_U64, WEFT_CONFIG_REQUIRED },
	{ "node", "auth", WEFT_CONFIG_BOOL, 0 },
	{ "log", "level", WEFT_CONFIG_LEVEL, 0 },
	{ "target", "path", WEFT_CONFIG_STR, WEFT_CONFIG_REQUIRED | WEFT_CONFIG_NAMED },
	{ "target", "cache", WEFT_CONFIG_SIZE, WEFT_CONFIG_NAMED },
	{ NULL, NULL, 0, 0 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), err[WEFT_CONFIG_ERR_MAX], host[16];
	struct weft_config *c = NULL;
	uint16_t port = 1;
	const char *name;
	unsigned int i;

	memcpy(text, data, size);
	text[size] = '\0';
	if (weft_config_parse("f", text, keys, &c, err)) {
		if (!strchr(err, ':'))
			abort();
	} else {
		weft_config_u64(c, "node", NULL, "id", 0);
		for (i = 0; (name = weft_config_section(c, "target", i)); i++)
			if (!weft_config_str(c, "target", name, "path", NULL))
				abort(); /* it is required */
		weft_config_free(c);
	}
	weft_parse_hostport(text, host, sizeof(host), &port);
	free(text);
	return 0;
}
