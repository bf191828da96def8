# SPDX-License-Identifier: MIT
# Tests of the tokenizer. Qwen2's vocabulary is kept compressed and unpacked into the build folder.

TOKENIZER_OBJS := userspace/core/fail.o $(patsubst %,userspace/load/%.o,tokenizer vocab bpe pretokenize chat)
TOKENIZER_LIBS := $(shell $(PKG_CONFIG) --libs jansson libpcre2-8 libutf8proc)

QWEN2_DIR   := tests/data/spikingbrain/tokenizer-qwen2
QWEN2_FILES := $(O)/$(QWEN2_DIR)/vocab.json $(O)/$(QWEN2_DIR)/merges.txt
$(QWEN2_FILES): $(O)/%: %.xz
	@mkdir -p $(@D)
	$(Q)xz -dc $< >$@.new && mv $@.new $@

UNIT_TESTS += tokenizer
tokenizer_OBJS = $(TOKENIZER_OBJS)
tokenizer_LIBS = $(TOKENIZER_LIBS)
$(O)/tests/unit/tokenizer_test.o: ALL_CFLAGS += -DQWEN2_UNPACKED='"$(O)/$(QWEN2_DIR)"'
$(O)/tests/unit/tokenizer_test: | $(QWEN2_FILES)

# Damaged files and texts, 60 s each in two processes. TOKENIZER_FUZZ="-t 600 -s 9" for a longer look at others.
TOKENIZER_FUZZ ?= -t 60
TOKENIZER_FUZZ_BIN := $(O)/tests/fuzz/tokenizer_fuzz
$(TOKENIZER_FUZZ_BIN): $(O)/tests/fuzz/tokenizer_fuzz.o $(TOKENIZER_OBJS:%=$(O)/%)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(TOKENIZER_LIBS) -o $@

.PHONY: check-tokenizer
check-tokenizer: $(TOKENIZER_FUZZ_BIN)	## damaged vocabularies and texts
	$(Q)tests/run-tap.sh "$(TOKENIZER_FUZZ_BIN) $(TOKENIZER_FUZZ)"
CHECK += check-tokenizer
