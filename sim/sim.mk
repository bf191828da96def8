# SPDX-License-Identifier: MIT
# The simulated card. SIM_OBJS is what the simulator and the in-process backend link.

SIM_OBJS += sim/rv32.o

UNIT_TESTS += rv32 rv32_trap
rv32_OBJS = sim/rv32.o
rv32_trap_OBJS = sim/rv32.o
