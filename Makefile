# SPDX-License-Identifier: MIT
# What people type. Each folder that is built here brings its own list (sim/sim.mk, ...); this file holds the
# rules they share and the jobs that need more than one of them. Output is quiet; `make V=1` shows every command.
# Objects go to $(O) (default: build), never into the source folders. The kernel module is built by tools/vm, in
# the test bed's own root, because it needs the compiler that built the kernel.

O       ?= build
V       ?= 0
CC      ?= gcc
PYTHON  ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config

ifeq ($(V),0)
Q   := @
say  = @printf '  %-7s %s\n' $(1) $(2)
else
Q   :=
say  = @:
endif

# SAN=1 builds everything that runs on the host with ASan and UBSan, into a tree of its own.
ifeq ($(SAN),1)
override O := $(O)/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
endif

WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wno-unused-parameter -Wno-missing-field-initializers
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARN) -fPIC -fvisibility=hidden -ffp-contract=off -fno-strict-aliasing -pthread \
	     -D_GNU_SOURCE -I. -Iuapi -Ihw -Iuserspace/include $(SANFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(SANFLAGS) $(LDFLAGS)

ALL   :=	# what `make` builds
CHECK :=	# phony targets that `make check` runs, each printing TAP

.PHONY: all help clean
all:

include $(wildcard hw/hw.mk firmware/firmware.mk sim/sim.mk userspace/userspace.mk tools/tools.mk tests/tests.mk docs/docs.mk)

all: $(ALL)

# --- shared rules ---------------------------------------------------------------------------------------------
# Objects keep their path below $(O): sim/rv32.c -> $(O)/sim/rv32.o. Per-object flags: CFLAGS_<path>.o.
$(O)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS_$*.o) -MMD -MP -c $< -o $@

DEPS = $(shell [ -d $(O) ] && find $(O) -name '*.d')
-include $(DEPS)

help:	## this list
	@sed -n 's/^\([a-z-]*\):.*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 16

clean:	## remove what was built here
	$(Q)rm -rf $(O)
