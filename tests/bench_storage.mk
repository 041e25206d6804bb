# The storage's figures over a real etcd.
BENCH_STORAGE := $(B)/tests/bench/bench_storage

$(BENCH_STORAGE): $(B)/obj/tests/bench/bench_storage.o $$(call folder_objects,apiserver) $(B)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: bench-storage
bench-storage: $(BENCH_STORAGE) ## Print the storage's figures over a real etcd
	@$(BENCH_STORAGE)
