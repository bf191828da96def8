# SPDX-License-Identifier: MIT
# Language models: checkpoints, tokenizer, kernels of their packets, and the tests of these.

# --- checkpoints --------------------------------------------------------------------------------------------------
# The parsers need nothing of the rest of the library.
CKPT_OBJS := userspace/core/fail.o $(patsubst %,userspace/load/%.o,ckpt file pickle safetensors tensor torch zip)
CKPT_LIBS  = $(shell $(PKG_CONFIG) --libs jansson libutf8proc) -lm
CKPT_TESTS := ckpt safetensors torch
UNIT_TESTS += $(CKPT_TESTS)
$(foreach t,$(CKPT_TESTS),$(eval $(t)_OBJS = $$(CKPT_OBJS)))
$(foreach t,$(CKPT_TESTS),$(eval $(t)_LIBS = $$(CKPT_LIBS)))

# Damaged files, the same ones every time. CKPT_FUZZ_SECONDS for a longer look at each kind.
CKPT_FUZZ := $(O)/tests/fuzz/ckpt_fuzz
$(CKPT_FUZZ): $(O)/tests/fuzz/ckpt_fuzz.o $(addprefix $(O)/,$(CKPT_OBJS))
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(CKPT_LIBS) -o $@

.PHONY: check-ckpt
check-ckpt: $(CKPT_FUZZ)	## damaged checkpoints and lists of shards, a minute each, at the same time
	$(Q)export CKPT_FUZZ_SECONDS=$${CKPT_FUZZ_SECONDS:-60}; tests/run-tap.sh "$(CKPT_FUZZ) safetensors" & a=$$!; \
		tests/run-tap.sh "$(CKPT_FUZZ) shards" & b=$$!; tests/run-tap.sh "$(CKPT_FUZZ) torch"; rc=$$?; wait $$a && wait $$b && exit $$rc
CHECK += check-ckpt

# --- spikes and sampling ------------------------------------------------------------------------------------------
UNIT_TESTS += coding sampler
NPZ_OBJS = userspace/load/npz.o userspace/load/npy.o userspace/load/array.o userspace/core/fail.o
coding_OBJS  = userspace/lm/coding.o $(NPZ_OBJS)
coding_LIBS  = $(shell $(PKG_CONFIG) --libs libzip)
sampler_OBJS = userspace/lm/sampler.o userspace/core/fail.o
sampler_LIBS = -lm

# --- models -------------------------------------------------------------------------------------------------------
# Small models against golden data, and against each other on every backend of the host.
LM_E2E := $(addprefix $(O)/tests/e2e/,lm_golden lm_same lm_long)
$(O)/tests/e2e/lm_same: ALL_LDFLAGS += -Wl,--wrap=snpu_fence_wait -Wl,--wrap=snpu_submit
$(LM_E2E): %: %.o $(O)/$(AVX512_EMU) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@
.PHONY: check-lm check-lm-golden
check-lm: $(LM_E2E)	## language models: golden data, the same on every backend, a context of a million tokens
	$(Q)tests/run-tap.sh $(LM_E2E)
check-lm-golden: $(O)/tests/e2e/lm_golden
	$(Q)tests/run-tap.sh $<
CHECK += check-lm

# Damaged models, the same ones every time. LM_FUZZ_SECONDS for a longer look at each kind.
LM_FUZZ := $(O)/tests/fuzz/lm_fuzz
$(O)/tests/fuzz/lm_fuzz.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags jansson)
$(LM_FUZZ): $(O)/tests/fuzz/lm_fuzz.o $(O)/$(AVX512_EMU) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@
.PHONY: check-lm-files
check-lm-files: $(LM_FUZZ)	## damaged configurations and converted models, a minute each
	$(Q)export LM_FUZZ_SECONDS=$${LM_FUZZ_SECONDS:-60}; tests/run-tap.sh "$(LM_FUZZ) configurations" & st=$$!; \
		tests/run-tap.sh "$(LM_FUZZ) converted_files"; rc=$$?; wait $$st && exit $$rc
CHECK += check-lm-files

UNIT_TESTS += lm lm_run lm_loss
lm_OBJS = $(AVX512_EMU) userspace/libsnpu.a
lm_LIBS = $(SNPU_LIBS)
lm_run_OBJS = $(lm_OBJS)
lm_run_LIBS = $(lm_LIBS)
lm_loss_OBJS = $(lm_OBJS)
lm_loss_LIBS = $(lm_LIBS)
LM_LOSS_WRAPS = snpu_fence_wait snpu_device_info snpu_bo_create snpu_bo_map snpu_bo_free malloc calloc realloc reallocarray strdup
$(O)/tests/unit/lm_loss_test: ALL_LDFLAGS += $(LM_LOSS_WRAPS:%=-Wl,--wrap=%)
$(O)/tests/unit/lm_test.o $(O)/tests/unit/lm_loss_test.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags jansson)

# A model of the full 7B shape: minutes, and tens of gigabytes in LM_7B_DIR.
LM_7B_DIR ?= $(O)/7b
.PHONY: bench-lm-7b
bench-lm-7b: $(O)/tools/snpu/snpu	## a random model of the 7B shape: loading, converting, generating; seconds, memory, tokens/s
	$(Q)mkdir -p $(LM_7B_DIR) && tests/bench/lm_7b.py $(O) $(LM_7B_DIR)
