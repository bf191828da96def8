# SPDX-License-Identifier: MIT
# The simulated card. SIM_OBJS is what the simulator and the in-process backend link.

SIM_OBJS += sim/rv32.o

UNIT_TESTS += rv32 rv32_trap
rv32_OBJS = sim/rv32.o
rv32_trap_OBJS = sim/rv32.o

# rv32_test carries a compiled program; without the cross compiler the image is empty and that test is skipped.
RV32_GCC ?= riscv64-unknown-elf-gcc
RV32_PROGRAM = $(O)/tests/unit/rv32_program
CFLAGS_tests/unit/rv32_test.o = -DRV32_PROGRAM_IMAGE='"$(RV32_PROGRAM).bin"'
$(O)/tests/unit/rv32_test.o: $(RV32_PROGRAM).bin
$(RV32_PROGRAM).bin: tests/unit/rv32_program.c tests/unit/rv32_program.h
	$(call say,RV32,$<)
	@mkdir -p $(@D)
	$(Q)if command -v $(RV32_GCC) >/dev/null; then \
		$(RV32_GCC) -march=rv32im -mabi=ilp32 -O2 -std=gnu11 $(WARN) -ffreestanding -nostdlib -I. \
			-Wl,--section-start=.init=0x1000,-e,program_start,--build-id=none $< -lgcc -o $(RV32_PROGRAM).elf && \
		$(RV32_GCC:gcc=objcopy) -O binary $(RV32_PROGRAM).elf $@; \
	else : >$@; fi

.PHONY: bench-rv32
bench-rv32: $(O)/tests/bench/rv32_rate	## speed of the management core's interpreter
	$(Q)$<
$(O)/tests/bench/rv32_rate: $(O)/tests/bench/rv32_rate.o $(O)/sim/rv32.o
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -o $@


# The compute engine alone, for whoever runs it in-process (libsnpu's backend `sim`).
ENGINE_OBJS := $(addprefix sim/,engine.o engine_decode.o engine_access.o engine_control.o engine_mem.o engine_event.o \
	       engine_linear.o engine_image.o engine_sparse.o engine_neuron.o engine_quant.o engine_spike.o engine_lm.o engine_attention.o engine_math.o mmu.o cost.o)
# No errno from square roots: they are instructions, and nothing here needs libm.
ENGINE_LOOPS := -O3 -fno-math-errno
$(foreach f,linear image sparse neuron quant spike lm attention,$(eval CFLAGS_sim/engine_$(f).o := $(ENGINE_LOOPS)))
ALL += $(O)/sim/libsnpu-engine.a
$(O)/sim/libsnpu-engine.a: $(addprefix $(O)/,$(ENGINE_OBJS))
	$(call say,AR,$(@:$(O)/%=%))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

UNIT_TESTS += engine engine_fault engine_run engine_fuzz engine_lm engine_spike engine_lm_fault engine_math mmu
engine_OBJS = $(ENGINE_OBJS)
engine_fault_OBJS = $(ENGINE_OBJS)
engine_run_OBJS = $(ENGINE_OBJS)
engine_fuzz_OBJS = $(ENGINE_OBJS)
engine_lm_OBJS = $(ENGINE_OBJS)
engine_spike_OBJS = $(ENGINE_OBJS)
engine_lm_fault_OBJS = $(ENGINE_OBJS)
engine_math_OBJS = sim/engine_math.o
engine_math_LIBS = -lm
engine_lm_LIBS = -lm
engine_spike_LIBS = -lm
mmu_OBJS = sim/mmu.o

# The PCI face: only the card in its own process needs it. SIM_FACE_LIBS goes with SIM_FACE_OBJS.
SIM_FACE_OBJS = $(addprefix sim/,vfu.o vfu_msg.o vfu_link.o vfu_irq.o dma.o pci.o)
SIM_FACE_LIBS = -ljansson

UNIT_TESTS += dma pci
dma_OBJS = sim/dma.o
pci_OBJS = sim/pci.o
UNIT_TESTS += vfu vfu_life vfu_fuzz
vfu_OBJS = $(SIM_FACE_OBJS)
vfu_life_OBJS = $(SIM_FACE_OBJS)
vfu_fuzz_OBJS = tests/fuzz/vfu_fuzz.o $(SIM_FACE_OBJS)
vfu_LIBS = $(SIM_FACE_LIBS)
vfu_life_LIBS = $(SIM_FACE_LIBS)
vfu_fuzz_LIBS = $(SIM_FACE_LIBS)

# The card without its PCI face, and the whole simulator.
CARD_OBJS := $(addprefix sim/,boot.o card.o card_doorbell.o card_engine.o card_fault.o card_regs.o card_sensors.o core.o rv32.o) $(ENGINE_OBJS)
ALL += $(O)/sim/snpu-sim
$(O)/sim/snpu-sim: $(addprefix $(O)/,sim/main.o $(CARD_OBJS) $(SIM_FACE_OBJS))
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -lnettle $(SIM_FACE_LIBS) -o $@

UNIT_TESTS += card_fw
card_fw_OBJS = $(CARD_OBJS)
card_fw_LIBS = -lnettle
CFLAGS_tests/unit/card_fw_test.o = -DFW_IMAGE='"$(abspath $(FW_IMAGE))"'
$(O)/tests/unit/card_fw_test: | $(FW_IMAGE)

UNIT_TESTS += card_sensors
card_sensors_OBJS = sim/card_sensors.o
card_sensors_LIBS = -lm

UNIT_TESTS += core boot card card_fault
core_OBJS = $(CARD_OBJS)
core_LIBS = -lnettle
boot_OBJS = $(CARD_OBJS)
boot_LIBS = -lnettle
card_OBJS = $(CARD_OBJS)
card_LIBS = -lnettle
card_fault_OBJS = $(CARD_OBJS)
card_fault_LIBS = -lnettle
CFLAGS_tests/unit/card_fault_test.o = -DFW_DIR='"$(abspath $(FW_DIR))"'
$(O)/tests/unit/card_fault_test: | $(FW_IMAGE)

.PHONY: bench-engine
bench-engine: $(O)/tests/bench/engine_rate	## speed of the simulated engine on this machine
	$(Q)$<
$(O)/tests/bench/engine_rate: $(addprefix $(O)/,tests/bench/engine_rate.o $(ENGINE_OBJS))
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -o $@

UNIT_TESTS += snpu_sim
CFLAGS_tests/unit/snpu_sim_test.o = -DSNPU_SIM='"$(abspath $(O)/sim/snpu-sim)"' -DFW_IMAGE='"$(abspath $(FW_IMAGE))"'
$(O)/tests/unit/snpu_sim_test: | $(O)/sim/snpu-sim $(FW_IMAGE)
