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

# --- examples: one file each, against the public headers only -------------------------------------------------
EXAMPLES := $(patsubst examples/%.c,$(O)/examples/%,$(wildcard examples/*.c))
ALL += $(EXAMPLES)
$(EXAMPLES): $(O)/examples/%: examples/%.c $(LIBSNPU) $(LIBNIR)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(SANFLAGS) -Iuserspace/include $< -L$(O)/userspace -l:libsnpu-nir.so.1 -l:libsnpu.so.1 \
		'-Wl,-rpath,$$ORIGIN/../userspace' -MMD -MP -MF $@.d -o $@

# --- demonstrations -------------------------------------------------------------------------------------------
# Set-up comes first and the build in a make of its own, because pkg-config answers are read when make starts.
KERNEL ?= 7.3
.PHONY: demo demo-card demo-host
demo:	## set up, build, boot a VM with a simulated card: it writes text and classifies 1000 images, the CPU does the same
	$(Q)tools/setup.sh
	$(Q)$(MAKE) --no-print-directory demo-card
demo-card: all
	$(Q)O=$(O) tools/kbuild --kernel $(KERNEL)
	$(Q)KERNEL=$(KERNEL) tools/demo card $(O)
demo-host: $(SNPU_BIN)	## the same without root, VM or driver: the card's simulator in this process
	$(Q)tools/demo host $(O)

# --- tests ----------------------------------------------------------------------------------------------------
# Damaged images, the same ones every time. IMAGE_FUZZ_CASES=100000 for a longer look.
IMAGE_FUZZ := $(O)/tests/fuzz/image_fuzz
$(O)/tests/fuzz/image_fuzz.o: ALL_CFLAGS += -Itools/snpu $(shell $(PKG_CONFIG) --cflags jansson libpng)
$(IMAGE_FUZZ): $(O)/tests/fuzz/image_fuzz.o $(O)/tools/snpu/image.o $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) $(shell $(PKG_CONFIG) --libs libpng) -o $@
.PHONY: check-images
check-images: $(IMAGE_FUZZ)	## damaged PNG and PGM images
	$(Q)tests/run-tap.sh $(IMAGE_FUZZ)
CHECK += check-images

# Damaged dumps, likewise. COREDUMP_FUZZ_CASES=100000 for a longer look.
COREDUMP_FUZZ := $(O)/tests/fuzz/coredump_fuzz
$(O)/tests/fuzz/coredump_fuzz.o: ALL_CFLAGS += -Itools/snpu $(shell $(PKG_CONFIG) --cflags jansson)
$(COREDUMP_FUZZ): $(O)/tests/fuzz/coredump_fuzz.o $(addprefix $(O)/tools/snpu/,cli.o dump.o dump_facts.o) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) $(shell $(PKG_CONFIG) --libs jansson) -o $@
.PHONY: check-coredump
check-coredump: $(COREDUMP_FUZZ)	## damaged core dumps of a card
	$(Q)tests/run-tap.sh $(COREDUMP_FUZZ)
CHECK += check-coredump

.PHONY: check-tools
check-tools: $(SNPU_BIN) $(EXAMPLES)	## the snpu command as people use it; examples, manual pages, completion
	$(Q)tests/run-tap.sh "tests/e2e/cli_test.sh $(O)"
CHECK += check-tools

.PHONY: check-net-tools
check-net-tools: $(O)/tools/snpu/snpu	## snpu run with networks of populations, as people use it
	$(Q)tests/run-tap.sh "tests/e2e/net_cli_test.sh $(O)"
CHECK += check-net-tools

.PHONY: check-lm-tools
check-lm-tools: $(SNPU_BIN)	## generate, chat, score, convert and tokenize as people use them
	$(Q)tests/run-tap.sh "tests/e2e/lm_cli_test.sh $(O)"
CHECK += check-lm-tools

# What the command makes of spikes: sums from the library, formulas and pictures from here.
UNIT_TESTS += spikes coding_raster lm_stream
lm_stream_OBJS = tools/snpu/lm_stream.o
spikes_OBJS  = userspace/lm/spikes.o tools/snpu/spike_stats.o tools/snpu/text.o $(NPZ_OBJS)
spikes_LIBS  = $(shell $(PKG_CONFIG) --libs libzip jansson) -lm
coding_raster_OBJS = tools/snpu/coding_raster.o tools/snpu/output.o tools/snpu/svg.o tools/snpu/text.o userspace/lm/coding.o userspace/core/fail.o
coding_raster_LIBS = $(shell $(PKG_CONFIG) --libs jansson) -lm
$(addprefix $(O)/tests/unit/,spikes_test.o coding_raster_test.o lm_stream_test.o): ALL_CFLAGS += -Itools/snpu $(shell $(PKG_CONFIG) --cflags jansson)
