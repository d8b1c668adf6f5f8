// SPDX-License-Identifier: Apache-2.0
/* The table of operations is consistent, and weft_hdr_check() refuses each wrong header field. */
#include <CUnit/Basic.h>

#include "proto/ops.h"

static void table(void)
{
	int found = 0;

	for (u32 i = 0; i < WEFT_OP_LIMIT + 10; i++) {
		const struct weft_op_info *op = weft_op_info(i);

		if (!op)
			continue;
		found++;
		CU_ASSERT(op->flags & 0xff);
		CU_ASSERT(op->req_len + sizeof(struct weft_hdr) <= WEFT_MSG_MAX);
		CU_ASSERT(op->rep_len + sizeof(struct weft_hdr) <= WEFT_MSG_MAX);
	}
	CU_ASSERT(found > 40);
	CU_ASSERT_EQUAL(weft_op_info(WEFT_OP_PING)->req_len, 0);
	CU_ASSERT_EQUAL(weft_op_info(WEFT_OP_OPEN)->rep_len, sizeof(struct weft_entry_rep));
	CU_ASSERT_PTR_NULL(weft_op_info(0));
	CU_ASSERT_PTR_NULL(weft_op_info(0xffff));
}

static struct weft_hdr request(void)
{
	return (struct weft_hdr){
		.len = cpu_to_le32(sizeof(struct weft_hdr) + sizeof(struct weft_ns_req)),
		.version = cpu_to_le16(WEFT_WIRE_VERSION),
		.magic = cpu_to_le32(WEFT_MAGIC),
		.opcode = cpu_to_le16(WEFT_OP_LOOKUP),
		.body_len = cpu_to_le16(sizeof(struct weft_ns_req)),
	};
}

#define CHECK(what, want) \
	do { \
		struct weft_hdr h = request(); \
		what; \
		CU_ASSERT_EQUAL(weft_hdr_check(&h), want); \
	} while (0)

static void headers(void)
{
	CHECK((void)0, 0);
	CHECK(h.magic = 0, -EBADMSG);
	CHECK(h.version = cpu_to_le16(WEFT_WIRE_VERSION + 1), -EPROTONOSUPPORT);
	CHECK(h.version = 0, -EPROTONOSUPPORT);
	CHECK(h.flags = cpu_to_le16(0x8000), -EBADMSG);
	CHECK(h.len = cpu_to_le32(sizeof(h) - 1), -EBADMSG);
	CHECK(h.len = cpu_to_le32(WEFT_MSG_MAX + 1), -EBADMSG);
	CHECK(h.len = cpu_to_le32(0xffffffff), -EBADMSG);
	CHECK(h.body_len = cpu_to_le16(sizeof(struct weft_ns_req) - 1), -EBADMSG);
	CHECK(h.body_len = cpu_to_le16(0xffff), -EBADMSG);
	CHECK(h.nsegs = cpu_to_le16(1), -EBADMSG);
	CHECK(h.nsegs = cpu_to_le16(0xffff), -EBADMSG);
	CHECK(h.bulk_len = cpu_to_le32(WEFT_BULK_MAX + 1), -EBADMSG);
	CHECK(h.bulk_max = cpu_to_le32(0xffffffff), -EBADMSG);
	CHECK(h.opcode = cpu_to_le16(250), -EBADMSG);
}

/* A reply that failed may come without its body, a successful one may not. */
static void replies(void)
{
	CHECK(h.flags = cpu_to_le16(WEFT_MF_REPLY), -EBADMSG);
	CHECK(h.flags = cpu_to_le16(WEFT_MF_REPLY); h.status = cpu_to_le32(ENOENT), 0);
	CHECK(h.flags = cpu_to_le16(WEFT_MF_REPLY);
	      h.body_len = cpu_to_le16(sizeof(struct weft_entry_rep));
	      h.len = cpu_to_le32(sizeof(h) + sizeof(struct weft_entry_rep)), 0);
}

/* The tail's lengths must add up exactly. */
static void ns_tail(void)
{
	struct weft_ns_req ns = { .creds.ngroups = cpu_to_le32(2), .name_len = cpu_to_le16(3),
				  .name2_len = cpu_to_le16(1) };
	static const char tail[] = "gggggggg" "abc" "d";
	const char *name, *name2;
	const void *groups;

	CU_ASSERT_EQUAL_FATAL(weft_ns_tail(&ns, tail, 12, &groups, &name, &name2), 0);
	CU_ASSERT_PTR_EQUAL(name, tail + 8);
	CU_ASSERT_PTR_EQUAL(name2, tail + 11);
	CU_ASSERT_EQUAL(weft_ns_tail(&ns, tail, 11, &groups, &name, &name2), -EBADMSG);
	CU_ASSERT_EQUAL(weft_ns_tail(&ns, tail, 13, &groups, &name, &name2), -EBADMSG);
	ns.creds.ngroups = cpu_to_le32(0x40000002); /* times 4 is 8 in 32 bits */
	CU_ASSERT_EQUAL(weft_ns_tail(&ns, tail, 12, &groups, &name, &name2), -EBADMSG);
}

int main(void)
{
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite("proto/ops", NULL, NULL);
	CU_add_test(s, "table", table);
	CU_add_test(s, "wrong headers are refused", headers);
	CU_add_test(s, "replies", replies);
	CU_add_test(s, "tail of metadata requests", ns_tail);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	return CU_get_number_of_failures() ? 1 : 0;
}
