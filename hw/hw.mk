# SPDX-License-Identifier: MIT
# The generator of the manual's tables.
ALL += $(O)/hw/gen-manual
$(O)/hw/gen-manual: $(O)/hw/gen-manual.o
	$(call say,LD,hw/gen-manual)
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -o $@

.PHONY: manual
manual: $(O)/hw/gen-manual	## rewrite the tables of docs/hardware.md from hw/
	$(Q)tests/style/manual.sh --write $(O)/hw/gen-manual
