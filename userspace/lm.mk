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
check-ckpt: $(CKPT_FUZZ)	## damaged checkpoints of both formats, a minute each
	$(Q)export CKPT_FUZZ_SECONDS=$${CKPT_FUZZ_SECONDS:-60}; tests/run-tap.sh "$(CKPT_FUZZ) safetensors" & st=$$!; \
		tests/run-tap.sh "$(CKPT_FUZZ) torch"; rc=$$?; wait $$st && exit $$rc
CHECK += check-ckpt

