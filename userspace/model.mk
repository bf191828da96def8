# SPDX-License-Identifier: MIT
# Tests of the model level: graph, load, lower, sched. They link the library's objects, and the AVX-512 kernels emulated
# where the CPU has none.

MODEL_TESTS := graph image loihi lower meaning net nir nir_golden nir_hostile nir_random nir_run nir_storing npy quant_net sched state
UNIT_TESTS  += $(MODEL_TESTS)
$(foreach t,$(MODEL_TESTS),$(eval $(t)_OBJS = $$(NIR_OBJS) $$(AVX512_EMU) userspace/libsnpu.a))
$(foreach t,$(MODEL_TESTS),$(eval $(t)_LIBS = $$(NIR_LIBS) $$(SNPU_LIBS)))
# Device errors in mid-run are made by the test itself.
sched_LIBS += -Wl,--wrap=snpu_fence_wait -Wl,--wrap=snpu_bo_create
state_LIBS += -Wl,--wrap=snpu_fence_wait
# Memory that is lost is counted.
nir_hostile_LIBS += $(foreach f,malloc calloc realloc reallocarray strndup free,-Wl,--wrap=$f)
net_LIBS += -Wl,--wrap=snpu_fence_wait
# libhdf5 writes files for these; nothing else links it.
HDF5_TESTS := nir_hostile nir_random nir_storing
$(HDF5_TESTS:%=$(O)/tests/unit/%_test.o): ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags hdf5-serial)
$(foreach t,$(HDF5_TESTS),$(eval $(t)_LIBS += $$(shell $$(PKG_CONFIG) --libs hdf5-serial)))

# 1000 test images through the whole library, on every backend of the host.
MNIST_E2E := $(O)/tests/e2e/mnist
$(MNIST_E2E): $(O)/tests/e2e/mnist.o $(addprefix $(O)/,$(NIR_OBJS) $(AVX512_EMU) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

# The NIR paper's convolutional network on recordings of an event camera.
CNN_E2E := $(O)/tests/e2e/cnn
$(CNN_E2E): $(O)/tests/e2e/cnn.o $(addprefix $(O)/,$(NIR_OBJS) $(AVX512_EMU) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

# Every network on everything that executes them; in the VM on the card as well.
NETS_SAME := $(O)/tests/e2e/nets_same
$(NETS_SAME): $(O)/tests/e2e/nets_same.o $(addprefix $(O)/,$(NIR_OBJS) $(AVX512_EMU) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

# MNIST in a process that lives through resets of the card; runs in the VM.
MNIST_AGAIN := $(O)/tests/e2e/mnist_again
$(MNIST_AGAIN): $(O)/tests/e2e/mnist_again.o $(addprefix $(O)/,$(NIR_OBJS) $(AVX512_EMU) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

# Damaged files of each kind, the same ones every time. NIR_FUZZ_CASES=100000, NET_FUZZ_CASES, QUANT_FUZZ_CASES likewise, for a longer look.
MODEL_FUZZ := $(addprefix $(O)/tests/fuzz/,nir_fuzz net_fuzz quant_fuzz)
$(MODEL_FUZZ): %: %.o $(addprefix $(O)/,$(NIR_OBJS) userspace/libsnpu.a)
	$(call say,LD,$(@:$(O)/%=%))
	$(Q)$(CC) $^ $(ALL_LDFLAGS) $(NIR_LIBS) $(SNPU_LIBS) -o $@

.PHONY: check-model check-nets
check-model: $(MNIST_E2E) $(CNN_E2E) $(MODEL_FUZZ)	## the MNIST network and the CNN on the host's backends; damaged model files
	$(Q)tests/run-tap.sh $(MNIST_E2E) $(CNN_E2E) $(MODEL_FUZZ)
CHECK += check-model

check-nets: $(NETS_SAME)	## every network of the tests, in every number system, on the host's backends
	$(Q)tests/run-tap.sh $(NETS_SAME)
CHECK += check-nets
