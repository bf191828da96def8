# SPDX-License-Identifier: MIT
# Tests of the readers of events. Files of most formats are written by a script, which shares no code with the readers.

EVENTS_DIR := $(O)/tests/data/events
$(EVENTS_DIR)/made: tests/unit/events_make.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $< $(@D) && touch $@

UNIT_TESTS += events
events_OBJS = $(NIR_OBJS) userspace/libsnpu.a
events_LIBS = $(NIR_LIBS) $(SNPU_LIBS)
$(O)/tests/unit/events_test.o: ALL_CFLAGS += -DEVENTS_DIR='"$(EVENTS_DIR)"'
$(O)/tests/unit/events_test: | $(EVENTS_DIR)/made

# Damaged files, the same ones every time, a few seconds a format in two processes. EVENTS_FUZZ_SECONDS for a longer look.
EVENTS_FUZZ := $(O)/tests/fuzz/events_fuzz
$(EVENTS_FUZZ).o: ALL_CFLAGS += -DEVENTS_DIR='"$(EVENTS_DIR)"'
$(EVENTS_FUZZ): $(EVENTS_FUZZ).o $(addprefix $(O)/,$(NIR_OBJS) userspace/libsnpu.a) | $(EVENTS_DIR)/made
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

.PHONY: check-events
check-events: $(EVENTS_FUZZ)	## damaged event files
	$(Q)tests/run-tap.sh $(EVENTS_FUZZ)
CHECK += check-events

.PHONY: check-events-tools
check-events-tools: $(O)/tools/snpu/snpu $(O)/examples/event-stream $(EVENTS_DIR)/made	## snpu run with event files and streams, as people use it
	$(Q)tests/run-tap.sh "tests/e2e/events_cli_test.sh $(O)"
CHECK += check-events-tools
