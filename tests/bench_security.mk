# What authentication and authorization cost.
BENCH_SECURITY := $(B)/tests/bench/bench_security

$(BENCH_SECURITY): $(B)/obj/tests/bench/bench_security.o $$(call folder_objects,apiserver) $(B)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

.PHONY: bench-security
bench-security: $(BENCH_SECURITY) ## Print what authentication and authorization cost
	@$(BENCH_SECURITY)
