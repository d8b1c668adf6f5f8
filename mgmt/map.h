/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster map of a state, in the encoding of proto/map.h.
 *
 * A pure function; what it makes has passed weft_map_check().
 */
#ifndef WEFT_MGMT_MAP_H
#define WEFT_MGMT_MAP_H

#include "mgmt/state.h"

/**
 * mgmt_map_encode() - encode the map
 * @st: the state
 * @map: the encoding, for free()
 * @len: its length
 *
 * Return: 0, -ENOMEM, or -EBADMSG when the state makes no sense as a map (a bug).
 */
int mgmt_map_encode(const struct mgmt_state *st, void **map, size_t *len);

#endif
