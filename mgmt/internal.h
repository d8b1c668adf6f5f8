/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of the state machine share among themselves.
 */
#ifndef WEFT_MGMT_INTERNAL_H
#define WEFT_MGMT_INTERNAL_H

#include "mgmt/state.h"

/* refuse() - fill in the result of a command that is refused; @err is a negative errno. */
void mgmt_refuse(struct mgmt_result *res, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * mgmt_grow() - one more element at the end of a protobuf array of pointers
 * @array: the array, replaced when it grows
 * @n: its length, one larger afterwards
 * @elem: the new element
 *
 * Return: 0 or -ENOMEM.
 */
int mgmt_grow(void *array, size_t *n, void *elem);

/* mgmt_bytes() - give a protobuf bytes field a copy of @len bytes. Return: 0 or -ENOMEM. */
int mgmt_bytes(ProtobufCBinaryData *field, const void *data, size_t len);

/* mgmt_string() - give a protobuf string field a copy of a string. Return: 0 or -ENOMEM. */
int mgmt_string(char **field, const char *s);

/* register.c: NODE_REGISTER and SET_LIVENESS. Each returns as mgmt_state_apply(). */
int mgmt_apply_register(struct mgmt_state *st, const Weft__NodeRegister *req,
			struct mgmt_result *res);
int mgmt_apply_liveness(struct mgmt_state *st, const Weft__SetLiveness *req,
			struct mgmt_result *res);

/* form.c: FS_CREATE and FS_EXTEND. */
int mgmt_apply_fs_create(struct mgmt_state *st, const Weft__FsCreate *req,
			 struct mgmt_result *res);
int mgmt_apply_fs_extend(struct mgmt_state *st, struct mgmt_result *res);

#endif
