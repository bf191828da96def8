# SPDX-License-Identifier: MIT
# What people type: the `snpu` command, its manual pages and completion, and the demonstrations. The command finds the
# library beside itself in the build tree, also inside the VM, where the tree has the same path.

SNPU_BIN  := $(O)/tools/snpu/snpu
TOOL_OBJS := $(patsubst %.c,$(O)/%.o,$(wildcard tools/snpu/*.c))
TOOL_LIBS  = $(shell $(PKG_CONFIG) --libs jansson libpng libpci) -lm
ALL += $(SNPU_BIN)

$(TOOL_OBJS): ALL_CFLAGS += -Itools/snpu $(shell $(PKG_CONFIG) --cflags jansson libpng libpci)

$(SNPU_BIN): $(TOOL_OBJS) $(LIBSNPU) $(LIBNIR)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $(TOOL_OBJS) -L$(O)/userspace -l:libsnpu-nir.so.1 -l:libsnpu.so.1 '-Wl,-rpath,$$ORIGIN/../../userspace' $(ALL_LDFLAGS) $(TOOL_LIBS) -o $@
