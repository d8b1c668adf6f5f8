// SPDX-License-Identifier: Apache-2.0
/*
 * Records that the scan at the start, or a load, found damaged: their segments are refused with
 * -EIO, all others are served. A list of places, usually empty, looked at when one is loaded.
 *
 * A damaged record leaves the list when its segment is deleted, and the record with it. A truncate
 * that cuts through it leaves it damaged: nobody can read what was cut. Which blocks it had is not
 * known for sure: those that it could be seen to claim stay in use until the next start. Above
 * DAMAGED_MAX the store is not what it should be, and is not opened.
 *
 * Belongs to the store's loop; nothing can fail but memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "oss/internal.h"

#define DAMAGED_MAX 1024

static struct oss_key *find(struct oss_store *s, const struct oss_key *key)
{
	size_t i;

	for (i = 0; i < s->ndamaged; i++)
		if (oss_key_same(&s->damaged[i], key))
			return &s->damaged[i];
	return NULL;
}

int oss_damage_add(struct oss_store *s, const struct oss_key *key, const char *what)
{
	struct oss_key *more;

	weft_err("chunk record refused, its object cannot be read", "ino=%llx chunk=%llu segment=%u "
		 "reason=\"%s\"", (unsigned long long)key->ino, (unsigned long long)key->chunk,
		 key->seg, what);
	if (s->ndamaged == DAMAGED_MAX)
		return -EUCLEAN;
	more = realloc(s->damaged, (s->ndamaged + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->damaged = more;
	s->damaged[s->ndamaged++] = *key;
	s->stats.damaged_records = s->ndamaged;
	return 0;
}

bool oss_damage_has(struct oss_store *s, const struct oss_key *key)
{
	return find(s, key);
}

void oss_damage_del(struct oss_store *s, const struct oss_key *key)
{
	struct oss_key *k = find(s, key);

	if (!k)
		return;
	*k = s->damaged[--s->ndamaged];
	s->stats.damaged_records = s->ndamaged;
}

void oss_damage_fini(struct oss_store *s)
{
	free(s->damaged);
}
