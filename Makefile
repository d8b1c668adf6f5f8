# SPDX-License-Identifier: Apache-2.0
#
# weft: plain GNU make; sources are found by wildcard, so adding a file needs no edit here.
#
#   common/**.c proto/**.c        build/libweft.a
#   mds/ oss/ mgmt/               build/lib<dir>.a, and with main.c build/bin/weft-<dir>
#   tools/<name>/*.c              build/bin/<name>
#   proto/mgmt.proto              build/proto/mgmt.pb-c.{c,h}
#   kmod/                         build/kmod-<kernel>/weft.ko
#   tests/unit/**_test.c          one CUnit program each; other .c there are linked into all of them
#   tests/fuzz/*_fuzz.c           one libFuzzer program each (clang)
#   tests/cluster/*.c             one program each, linked with everything
#   tests/{fs,bench}/*.c, */      one static program each file, and each folder except lib/
#
# A program that needs its own link flags says so in a file beside its source: x_test.c, x_test.ldflags.
# SAN=address|undefined|thread builds and tests in build/san-<SAN>.

SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory -r
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

SAN ?=
T ?=
SUITES ?=
KERNEL ?= stock
NET ?= tcp
FUZZ ?= 60
MINUTES ?= 10
PREFIX ?= /usr/local
V ?=
Q := $(if $(V),,@)

B := build$(if $(SAN),/san-$(SAN))
F := build/fuzz
export WEFT_TOP := $(CURDIR)
export WEFT_BUILD := $(CURDIR)/$(B)

SAN_FLAGS_address := -fsanitize=address -fno-omit-frame-pointer
SAN_FLAGS_undefined := -fsanitize=undefined -fno-sanitize-recover=all
SAN_FLAGS_thread := -fsanitize=thread
SAN_FLAGS := $(if $(SAN),$(or $(SAN_FLAGS_$(SAN)),$(error SAN must be address, undefined or thread)))

CC := gcc
CLANG := clang
OPT ?= -O2 -g
STD := -std=gnu11 -D_GNU_SOURCE -pthread -I. -Ibuild/proto
WARN := -Wall -Wextra -Werror
DEPS = -MMD -MP -MF $(@:.o=.d)
LIBS := -Wl,--as-needed -lrocksdb -luv -luring -lprotobuf-c -linih -ljansson -lssl -lcrypto \
	-lisal -lraft -lrdmacm -libverbs -lcunit -lm -pthread
FUZZ_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# --- sources

find_c = $(sort $(if $(wildcard $(1)),$(shell find $(1) -name '*.c')))
folders = $(patsubst %/,%,$(wildcard $(1)/*/))

WEFT_SRC := $(call find_c,common) $(call find_c,proto)
PROTOBUF := $(patsubst proto/%.proto,build/proto/%.pb-c.c,$(wildcard proto/*.proto))
DAEMONS := mds oss mgmt
TOOLS := $(filter-out build,$(notdir $(call folders,tools)))
TEST_DIRS := fs bench

UNIT_SRC := $(filter %_test.c,$(call find_c,tests/unit))
UNIT_LIB := $(filter-out %_test.c,$(call find_c,tests/unit))
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
CLUSTER_SRC := $(wildcard tests/cluster/*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(filter-out build/%,$(1))) \
	$(patsubst build/%.c,$(B)/obj/%.o,$(filter build/%,$(1)))
fuzz_obj = $(patsubst $(B)/obj/%,$(F)/obj/%,$(call obj,$(1)))

LIB := $(B)/libweft.a
DAEMON_LIBS := $(DAEMONS:%=$(B)/lib%.a)
DAEMON_BINS := $(foreach d,$(DAEMONS),$(if $(wildcard $(d)/main.c),$(B)/bin/weft-$(d)))
TOOL_BINS := $(TOOLS:%=$(B)/bin/%)
UNIT_BINS := $(UNIT_SRC:%.c=$(B)/%)
UNIT_PICK := $(foreach u,$(UNIT_BINS),$(if $(or $(if $(T),,all),$(findstring $(T),$(u))),$(u)))
CLUSTER_BINS := $(CLUSTER_SRC:%.c=$(B)/%)
FUZZ_BINS := $(FUZZ_SRC:%.c=$(F)/%)
STATIC_BINS := $(foreach d,$(TEST_DIRS:%=tests/%),$(patsubst %.c,$(B)/%,$(wildcard $(d)/*.c)) \
	$(patsubst %,$(B)/%,$(filter-out %/lib,$(foreach f,$(call folders,$(d)),$(if $(wildcard $(f)/*.c),$(f))))))

# --- targets for people

.PHONY: all user kmod tests deps check unit vm-check vm-selftest test demo bench soak fuzz install clean help

## all: libraries, daemons, tools and the kernel module (KERNEL=stock|native|uml-debug|...)
all: user $(if $(wildcard kmod/*.c),kmod)

user: $(LIB) $(DAEMON_LIBS) $(DAEMON_BINS) $(TOOL_BINS)

kmod: $(PROTOBUF)
	$(Q)tools/build/kmod $(KERNEL)

tests: $(UNIT_BINS) $(CLUSTER_BINS) $(STATIC_BINS) $(if $(SAN),,$(FUZZ_BINS))

## deps: install the packages that are missing (root), fetch the stock kernel
deps:
	@tools/build/deps

## check: lint, unit tests, bounded fuzzing, clusters on loopback; no root, under 3 minutes
check: $(if $(SAN),user,all) tests
	$(Q)tests/run check $(sort $(wildcard tests/lint/*-check)) $(UNIT_BINS) tests/fs/selftest.sh \
		$(if $(SAN),,$(foreach f,$(FUZZ_BINS),"tests/fuzz-run $(f) 3")) \
		$(or $(wildcard tests/cluster/run),$(sort $(wildcard tests/cluster/*_test.sh)) \
			$(filter %_test,$(CLUSTER_BINS)))

## unit: the unit tests whose path has T=<word> (all of them without it)
unit: $(UNIT_PICK)
	$(Q)tests/run unit $(UNIT_PICK)

## vm-check: suites in a guest; KERNEL=stock|uml-debug|x86-kasan|x86-lockdep NET=tcp|rdma SUITES='a b'
vm-check: all tests
	$(Q)tests/vm/vm-check --kernel $(KERNEL) --net $(NET) $(SUITES)

## vm-selftest: does the lab notice what it must notice?
vm-selftest: tests
	$(Q)tests/vm/selftest --kernel $(KERNEL)

## test: check, the VM suites on the stock kernel and on uml-debug, some once more over RDMA, suites of RDMA
test:
	$(Q)tests/test

## demo: a cluster on loopback, mounted by the kernel client, doing real work (DEMO=native|vm)
demo:
	$(Q)tools/build/deps
	$(Q)$(MAKE) all tests
	$(Q)tests/demo/run

## bench: mdtest- and IOR-like work on weft and on NFS side by side in one guest; RDMA in another
bench: all tests
	$(Q)tests/vm/bench --kernel $(KERNEL)
	$(Q)KERNEL=$(KERNEL) tests/bench/rdma

## fuzz: every fuzzer for FUZZ=<seconds>
fuzz: $(FUZZ_BINS)
	$(Q)tests/run fuzz $(foreach f,$(FUZZ_BINS),"tests/fuzz-run $(f) $(FUZZ)")

## soak: MINUTES=<n> of kill -9 of every daemon under load, each acknowledged operation checked
soak: all tests
	$(Q)tests/vm/soak --kernel $(KERNEL) --minutes $(MINUTES)

## install: programs, manual pages, and the module of the running kernel when it has headers
install: user
	$(Q)DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" tools/build/install $(DAEMON_BINS) $(TOOL_BINS)

## clean: remove build/ (cached kernels stay in $WEFT_CACHE, by default /var/cache/weft)
clean:
	$(Q)rm -rf build

## help: this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST)) | sed 's/^\([a-z-]*\):/\1\t/' | expand -t14

# --- rules

say = @printf '  %-7s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$@)

build/proto/%.pb-c.c build/proto/%.pb-c.h &: proto/%.proto
	$(call say,PROTOC)
	$(Q)mkdir -p build/proto && protoc-c -Iproto --c_out=build/proto $<

$(B)/obj/%.o: %.c | $(PROTOBUF)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(STD) $(WARN) $(OPT) $(SAN_FLAGS) $(DEPS) -c -o $@ $<

$(B)/obj/proto/%.pb-c.o: build/proto/%.pb-c.c
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(STD) $(WARN) $(OPT) $(SAN_FLAGS) $(DEPS) -c -o $@ $<

$(F)/obj/%.o: %.c | $(PROTOBUF)
	$(call say,CLANG)
	$(Q)mkdir -p $(@D) && $(CLANG) $(STD) $(WARN) -O1 -g -fsanitize=fuzzer-no-link $(FUZZ_FLAGS) \
		$(DEPS) -c -o $@ $<

$(F)/obj/proto/%.pb-c.o: build/proto/%.pb-c.c
	$(call say,CLANG)
	$(Q)mkdir -p $(@D) && $(CLANG) $(STD) -O1 -g -fsanitize=fuzzer-no-link $(FUZZ_FLAGS) \
		$(DEPS) -c -o $@ $<

# An archive is made anew, so that a removed source leaves no member behind.
archive = $(call say,AR)$(newline)	$(Q)mkdir -p $(@D) && rm -f $@ && ar rcs $@ $(filter %.o,$^)
define newline


endef

$(LIB): $(call obj,$(WEFT_SRC) $(PROTOBUF))
	$(archive)

$(F)/libweft.a: $(call fuzz_obj,$(WEFT_SRC) $(PROTOBUF))
	$(archive)

$(B)/libunit.a: $(call obj,$(UNIT_LIB))
	$(archive)

flags_of = $(if $(wildcard $(1).ldflags),$(file <$(1).ldflags))
link = $(call say,LD)$(newline)	$(Q)mkdir -p $(@D) && $(CC) $(SAN_FLAGS) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

define daemon
$(B)/lib$(1).a: $(call obj,$(filter-out $(1)/main.c,$(call find_c,$(1))))
	$$(archive)
$(F)/lib$(1).a: $(call fuzz_obj,$(filter-out $(1)/main.c,$(call find_c,$(1))))
	$$(archive)
$(B)/bin/weft-$(1): $(B)/obj/$(1)/main.o $(B)/lib$(1).a $(LIB)
	$$(link)
endef
$(foreach d,$(DAEMONS),$(eval $(call daemon,$(d))))

define tool
$(B)/bin/$(1): $(call obj,$(wildcard tools/$(1)/*.c)) $(LIB)
	$$(link)
endef
$(foreach t,$(TOOLS),$(eval $(call tool,$(t))))

# A test of a daemon's source links that daemon alone, so that one broken folder stops no other.
define unit
$(B)/$(1): $(B)/obj/$(1).o $(B)/libunit.a $(patsubst %,$(B)/lib%.a,$(filter $(DAEMONS),$(word 3,$(subst /, ,$(1))))) $(LIB)
	$$(link) $(call flags_of,$(1))
endef
$(foreach u,$(UNIT_SRC:%.c=%),$(eval $(call unit,$(u))))

$(CLUSTER_BINS): $(B)/%: $(B)/obj/%.o $(DAEMON_LIBS) $(LIB)
	$(link) $(call flags_of,$*)

$(FUZZ_BINS): $(F)/%: $(F)/obj/%.o $(DAEMONS:%=$(F)/lib%.a) $(F)/libweft.a
	$(call say,LD)
	$(Q)mkdir -p $(@D) && $(CLANG) -fsanitize=fuzzer $(FUZZ_FLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# Programs for guests: static, so that starting one costs little under emulation.
define static
$(B)/$(1): $(call obj,$(2)) $(call obj,$(sort $(wildcard $(dir $(1))lib/*.c tests/fs/lib/*.c)))
	$$(call say,LD)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(SAN_FLAGS) $(if $(SAN),,-static) -o $$@ $$(filter %.o,$$^) -pthread -lm
endef
$(foreach s,$(STATIC_BINS:$(B)/%=%),$(eval $(call static,$(s),$(or $(wildcard $(s).c),$(wildcard $(s)/*.c)))))

-include $(shell [ -d $(B)/obj ] && find $(B)/obj -name '*.d')
-include $(shell [ -d $(F)/obj ] && find $(F)/obj -name '*.d')
