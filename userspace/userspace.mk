# SPDX-License-Identifier: MIT
# libsnpu: what runs in the user's process. libsnpu.so.1 holds everything but the readers of networks and events, which are a shared
# object of their own: who builds models by calls needs neither them nor zlib, lz4 and zstd. libsnpu.a is the same objects, for tests that look inside.
# The SIMD kernels are compiled for their machine and chosen at run time; nothing else may use more than the baseline.

ALL_CFLAGS += -Iuserspace

SNPU_SRCS = $(wildcard userspace/core/*.c userspace/device/*.c userspace/backend/*.c userspace/backend/*/*.c userspace/kernels/*.c \
	      userspace/graph/*.c userspace/load/*.c userspace/lower/*.c userspace/sched/*.c userspace/lm/*.c userspace/pop/*.c)
SNPU_OBJS = $(SNPU_SRCS:.c=.o) $(ENGINE_OBJS)
SNPU_LIBS = $(shell $(PKG_CONFIG) --libs libdrm libzip jansson libpcre2-8 libutf8proc) -lpthreadpool -lm
NIR_OBJS  = $(patsubst %.c,%.o,$(wildcard userspace/load/nir/*.c userspace/load/events/*.c))
NIR_LIBS  = $(shell $(PKG_CONFIG) --libs liblz4 libzstd) -lz -lm

CFLAGS_userspace/kernels/scalar.o := -fno-tree-vectorize
CFLAGS_userspace/kernels/scalar_lm.o := -fno-tree-vectorize
CFLAGS_userspace/backend/cpu/exec.o := -fno-tree-vectorize	# counters were just stored one by one: loading two at a time waits for both
CFLAGS_userspace/kernels/scalar_quant.o := -fno-tree-vectorize
CFLAGS_userspace/kernels/spmv_plan.o := -O3
CFLAGS_userspace/core/finite.o := -O3
CFLAGS_userspace/load/array.o := -O3
CFLAGS_userspace/kernels/avx2.o := -mavx2 -mno-fma
CFLAGS_userspace/kernels/avx512.o := -mavx512f -mavx512bw -mavx512dq -mavx512vl
CFLAGS_userspace/kernels/avx512_vnni.o := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
$(patsubst %.c,$(O)/%.o,$(wildcard userspace/backend/card/*.c)): ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags libdrm)

LIBSNPU   := $(O)/userspace/libsnpu.so.1
LIBSNPU_A := $(O)/userspace/libsnpu.a
LIBNIR    := $(O)/userspace/libsnpu-nir.so.1
ALL += $(LIBSNPU) $(LIBSNPU_A) $(if $(NIR_OBJS),$(LIBNIR)) $(O)/userspace/libsnpu.pc

$(LIBSNPU): $(addprefix $(O)/,$(SNPU_OBJS)) userspace/libsnpu.map
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) -shared $(if $(SANFLAGS),,-Wl$(comma)-z$(comma)defs) -Wl,-soname,$(@F) -Wl,--version-script=userspace/libsnpu.map $(filter %.o,$^) $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@
	$(Q)ln -sf $(@F) $(@:.1=)

$(LIBSNPU_A): $(addprefix $(O)/,$(SNPU_OBJS))
	$(call say,AR,$(@:$(O)/%=%))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(LIBNIR): $(addprefix $(O)/,$(NIR_OBJS)) $(wildcard userspace/libsnpu-nir.map) $(LIBSNPU)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) -shared -Wl,-soname,$(@F) $(patsubst %,-Wl$(comma)--version-script=%,$(wildcard userspace/libsnpu-nir.map)) \
		$(filter %.o,$^) $(LIBSNPU) $(ALL_LDFLAGS) $(NIR_LIBS) -o $@
	$(Q)ln -sf $(@F) $(@:.1=)
comma := ,

prefix  ?= /usr/local
libdir  ?= $(prefix)/lib
$(O)/userspace/libsnpu.pc: userspace/libsnpu.pc.in userspace/include/snpu/snpu.h
	@mkdir -p $(@D)
	$(Q)v=$$(awk '/define SNPU_VERSION_/ { printf "%s%s", s, $$3; s = "." }' userspace/include/snpu/snpu.h); \
		sed -e "s|@prefix@|$(prefix)|;s|@libdir@|$(libdir)|;s|@version@|$$v|" $< >$@

# --- tests ----------------------------------------------------------------------------------------------------
# The AVX-512 sources compiled against SIMDe, for machines without it. Linked into test programs only.
AVX512_EMU = tests/avx512_emulated.o
AVX512VNNI_EMU = tests/avx512_vnni_emulated.o
$(O)/$(AVX512_EMU) $(O)/$(AVX512VNNI_EMU): $(O)/tests/%_emulated.o: userspace/kernels/%.c
	$(call say,CC,$<:emulated)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-psabi -mavx2 -mno-fma -DSNPU_AVX512_EMULATED -MMD -MP -c $< -o $@

UNIT_TESTS += program device kernels_lm kernels_neuron
program_OBJS = userspace/libsnpu.a
device_OBJS  = userspace/libsnpu.a
kernels_lm_OBJS = $(AVX512_EMU) $(AVX512VNNI_EMU) userspace/libsnpu.a
kernels_neuron_OBJS = $(AVX512_EMU) userspace/libsnpu.a
program_LIBS = $(SNPU_LIBS)
device_LIBS  = $(SNPU_LIBS)
kernels_lm_LIBS = -lm
kernels_neuron_LIBS = -lm

.PHONY: check-symbols
check-symbols: $(LIBSNPU) $(LIBNIR)	## what the libraries export
	$(Q)tests/run-tap.sh "tests/unit/symbols.sh $(O)/userspace $(wildcard userspace/include/snpu/*.h)"
CHECK += check-symbols

# The conformance suite: one set of tests, every backend. The card's variants need /dev/accel and are run in the VM.
CONF_TESTS = packets images sparse neurons quant lm attention faults lm_faults queues
CONF_BINS  = $(CONF_TESTS:%=$(O)/tests/conformance/%_test)
$(CONF_BINS): %: %.o $(O)/tests/conformance/conf.o $(O)/$(AVX512_EMU) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@
.PHONY: check-conformance conformance
conformance: $(CONF_BINS)
check-conformance: $(CONF_BINS)	## the command set on every backend of the host
	$(Q)tests/run-tap.sh $(CONF_BINS:%="% .cpu_ .sim")
CHECK += check-conformance

# What the library says when a card runs out of something; it runs in the VM.
$(O)/tests/e2e/card_limits: %: %.o $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@

include userspace/model.mk
include userspace/events.mk
include userspace/lm.mk
include userspace/tokenizer.mk

# Random programs on all backends; -n and -s choose how many and which.
PROGRAM_FUZZ = $(O)/tests/fuzz/program_fuzz
$(PROGRAM_FUZZ): $(O)/tests/fuzz/program_fuzz.o $(O)/$(AVX512_EMU) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@
.PHONY: check-programs
check-programs: $(PROGRAM_FUZZ)	## random programs, the same on every backend
	$(Q)tests/run-tap.sh "$(PROGRAM_FUZZ) -n 3000"
CHECK += check-programs

.PHONY: bench-kernels
bench-kernels: $(O)/tests/bench/kernels	## speed of the CPU kernels against a memory probe and the scalar reference
	$(Q)$<
$(O)/tests/bench/kernels: $(O)/tests/bench/kernels.o $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@

.PHONY: bench-cuba
bench-cuba: $(O)/tests/bench/cuba	## CUBA with 4,000 to 1,000,000 neurons on the CPU, beside probes and Brian2
	$(Q)$<
$(O)/tests/bench/cuba: $(O)/tests/bench/cuba.o $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(SNPU_LIBS) -o $@

.PHONY: bench-conv bench-nets
bench-conv: $(O)/tests/bench/conv	## convolutions on the CPU: by events, by windows, a probe; the NIR paper's CNN
	$(Q)$<
bench-nets: $(O)/tests/bench/nets	## networks on the CPU: fully connected and recurrent, on one and two threads; probes; NumPy
	$(Q)$<
	$(Q)$(PYTHON) tests/bench/nets.py
$(O)/tests/bench/conv $(O)/tests/bench/nets: %: %.o $(addprefix $(O)/,$(NIR_OBJS)) $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

.PHONY: bench-lm-kernels
bench-lm-kernels: $(O)/tests/bench/kernels_lm	## speed of the language models' kernels against a memory probe
	$(Q)$<
$(O)/tests/bench/kernels_lm: $(O)/tests/bench/kernels_lm.o $(LIBSNPU_A)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) -lm -o $@
