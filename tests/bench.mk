# The figures of docs/PERFORMANCE.md.
BENCH_APISERVER := $(B)/tests/bench/bench_apiserver

$(BENCH_APISERVER): $(B)/obj/tests/bench/bench_apiserver.o $$(call folder_objects,apiserver) $(B)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: bench bench-apiserver bench-cluster
bench-apiserver: $(BENCH_APISERVER) $(B)/bin/kube-apiserver ## Print the API server's figures over a real etcd
	@PYTHONDONTWRITEBYTECODE=1 BUILD=$(B) python3 tests/bench/apiserver.py $(B)

bench-cluster: all images rootfs ## Print the local cluster's figures (needs root)
	@PYTHONDONTWRITEBYTECODE=1 BUILD=$(B) python3 tests/bench/cluster.py $(B)

bench: all images rootfs ## Print the figures of docs/PERFORMANCE.md (needs root)
	@PYTHONDONTWRITEBYTECODE=1 $(MAKE) --no-print-directory bench-storage bench-security bench-apiserver bench-cluster
