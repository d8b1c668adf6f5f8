/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the body of a request to an operation of the store.
 */
#ifndef WEFT_OSS_REQUEST_H
#define WEFT_OSS_REQUEST_H

#include "common/rpc/server.h"
#include "oss/store.h"

/**
 * oss_request_decode() - check a request's body and make an operation of it
 * @req: the request; its body is as long as its opcode demands
 * @op: kind, place and length are filled in
 * @what: out: what is wrong, when it is -EINVAL
 *
 * Return: 0, -EINVAL for what no client can mean, -EOPNOTSUPP for flags that are not known.
 */
int oss_request_decode(const struct weft_rpc_req *req, struct oss_op *op, const char **what);

#endif
