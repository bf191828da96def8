# SPDX-License-Identifier: MIT
# The outputs in README.md come from running the commands it names.
.PHONY: readme
readme: all kmod $(O)/tests/bench/submit	## run the commands in README.md and paste what they print
	$(Q)docs/paste.py README.md
