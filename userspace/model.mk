# SPDX-License-Identifier: MIT
# Tests of the model level: graph, load, lower, sched. They link the library's objects, and the AVX-512 kernels emulated
# where the CPU has none.

MODEL_TESTS := graph nir nir_hostile nir_run npy lower sched
UNIT_TESTS  += $(MODEL_TESTS)
$(foreach t,$(MODEL_TESTS),$(eval $(t)_OBJS = $$(NIR_OBJS) $$(AVX512_EMU) userspace/libsnpu.a))
$(foreach t,$(MODEL_TESTS),$(eval $(t)_LIBS = $$(NIR_LIBS) $$(SNPU_LIBS)))
# Device errors in mid-run are made by the test itself.
sched_LIBS += -Wl,--wrap=snpu_fence_wait -Wl,--wrap=snpu_bo_create
# libhdf5 writes files for this one; nothing else links it.
$(O)/tests/unit/nir_hostile_test.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags hdf5-serial)
nir_hostile_LIBS += $(shell $(PKG_CONFIG) --libs hdf5-serial)

# 1000 test images through the whole library, on every backend of the host.
MNIST_E2E := $(O)/tests/e2e/mnist
$(MNIST_E2E): $(O)/tests/e2e/mnist.o $(addprefix $(O)/,$(NIR_OBJS) $(AVX512_EMU) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

# Damaged files, the same ones every time. NIR_FUZZ_CASES=100000 for a longer look.
NIR_FUZZ := $(O)/tests/fuzz/nir_fuzz
$(NIR_FUZZ): $(O)/tests/fuzz/nir_fuzz.o $(addprefix $(O)/,$(NIR_OBJS) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

.PHONY: check-model
check-model: $(MNIST_E2E) $(NIR_FUZZ)	## the MNIST network on the host's backends; damaged model files
	$(Q)tests/run-tap.sh $(MNIST_E2E) $(NIR_FUZZ)
CHECK += check-model
