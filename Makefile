# Caravel: one Makefile for the programs, the tests and the local cluster.
# `make help` lists the targets. Everything that is built goes to $(B).

B       ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
V       ?= 0
ifneq ($(V),1)
Q := @
endif

PROGRAMS := kube-apiserver kube-scheduler kube-controller-manager kubelet kube-proxy ctl adm crilog
FOLDER_kube-apiserver          := apiserver
FOLDER_kube-scheduler          := scheduler
FOLDER_kube-controller-manager := controller-manager
FOLDER_kubelet                 := kubelet
FOLDER_kube-proxy              := kube-proxy
FOLDER_ctl                     := ctl
FOLDER_adm                     := adm
FOLDER_crilog                  := kubelet/crilog
# A program that stands in another one's folder is no part of that one.
NESTED := kubelet/crilog/%

VERSION := v1.33.0+caravel
LIBRARIES := libcurl openssl libnghttp2 yaml-0.1 libcjson libmicrohttpd libnftnl libmnl libsodium zlib

CPPFLAGS += -I. -I$(B)/generated -D_GNU_SOURCE -DCARAVEL_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Werror -Wmissing-prototypes -Wno-missing-field-initializers \
            -fno-strict-aliasing -fno-common -pthread
LDFLAGS  += -pthread -Wl,--as-needed
ifeq ($(SAN),)
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
CFLAGS   += -fstack-protector-strong -fstack-clash-protection -fPIE
LDFLAGS  += -pie -Wl,-z,relro -Wl,-z,now
else
CFLAGS   += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SAN)
endif
LIBRARY_CFLAGS := $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
LDLIBS  := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null) -lm
CPPFLAGS += $(LIBRARY_CFLAGS)
CCACHE := $(shell command -v ccache 2>/dev/null)

# Changing the compiler or its flags rebuilds.
BUILD_KEY := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)

COMMON_SOURCES := $(wildcard common/*/*.c)
SCHEMAS        := $(wildcard common/api/schema/*.schema)
SCHEMAGEN_SOURCES := $(wildcard common/api/schemagen/*.c)
GENERATED_STAMP := $(B)/generated/.stamp
GENERATED_SOURCE := $(B)/generated/schema_tables.c

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
COMMON_OBJECTS := $(call objects,$(COMMON_SOURCES)) $(B)/obj/generated/schema_tables.o
BASE_OBJECTS   := $(call objects,$(wildcard common/base/*.c))

.PHONY: all help programs $(PROGRAMS)
all: programs ## Build every program into $(B)/bin (no root needed)

help: ## Say what each target does
	@awk -F':.*## ' '/^[a-z][a-zA-Z0-9_-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

programs: $(PROGRAMS:%=$(B)/bin/%)
$(PROGRAMS): %: $(B)/bin/%

$(B)/.build-key: FORCE
	@mkdir -p $(B)
	@printf '%s' '$(subst ','\'',$(BUILD_KEY))' | cmp -s - $@ || printf '%s' '$(subst ','\'',$(BUILD_KEY))' > $@
.PHONY: FORCE
FORCE:

# --- the schema's tables and views --------------------------------------------
$(B)/bin/schemagen: $(call objects,$(SCHEMAGEN_SOURCES)) $(BASE_OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@.$$$$ $^ -lm && mv -f $@.$$$$ $@

# Only files whose content changed are written, each moved into its place, so the
# stamp says when the generator ran and the files' own times what must be rebuilt.
$(GENERATED_STAMP): $(B)/bin/schemagen $(SCHEMAS)
	@mkdir -p $(B)/generated/api
	@echo "  GEN  $(B)/generated"
	$(Q)$(B)/bin/schemagen $(B)/generated $(SCHEMAS)
	@touch $@
$(GENERATED_SOURCE): $(GENERATED_STAMP) ;

# The bootstrap roles of the apiserver, as a table.
$(B)/generated/api/bootstrap_policy.inc: apiserver/bootstrap/rbac.policy apiserver/bootstrap/bootstrap_policy.awk
	@mkdir -p $(@D)
	$(Q)awk -f apiserver/bootstrap/bootstrap_policy.awk $< > $@.$$$$ && mv -f $@.$$$$ $@
$(B)/obj/apiserver/bootstrap/policy.o: $(B)/generated/api/bootstrap_policy.inc

# --- objects --------------------------------------------------------------------
# Everything but the base layer and the generator may include generated headers.
# Outputs are made beside their place and moved there, so that several makes may
# share one build folder.
define compile
@mkdir -p $(@D)
@echo "  CC   $<"
$(Q)$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@.$$$$ $< && mv -f $@.$$$$ $@
endef
$(B)/obj/common/base/%.o: common/base/%.c $(B)/.build-key
	$(compile)
$(B)/obj/common/api/schemagen/%.o: common/api/schemagen/%.c $(B)/.build-key
	$(compile)
$(B)/obj/generated/%.o: $(B)/generated/%.c $(B)/.build-key
	$(compile)
$(B)/obj/%.o: %.c $(B)/.build-key | $(B)/generated/.stamp
	$(compile)

$(B)/libcommon.a: $(COMMON_OBJECTS)
	$(Q)ar rcs $@.$$$$ $^ && mv -f $@.$$$$ $@

# --- programs ---------------------------------------------------------------------
define program_rule
SOURCES_$(1) := $$(filter-out $$(if $$(filter $(1),crilog),,$(NESTED)),$$(wildcard $$(FOLDER_$(1))/*.c $$(FOLDER_$(1))/*/*.c))
$(B)/bin/$(1): $$(call objects,$$(SOURCES_$(1))) $(B)/libcommon.a
	@mkdir -p $$(@D)
	@echo "  LD   $$@"
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@.$$$$$$$$ $$^ $$(LDLIBS) && mv -f $$@.$$$$$$$$ $$@
endef
$(foreach program,$(PROGRAMS),$(eval $(call program_rule,$(program))))

# --- tests ------------------------------------------------------------------------
# tests/unit/test_x.c is one cmocka program. A test of a daemon's module stands in
# tests/unit/<folder>/ and is linked with that folder's objects but main.o.
UNIT_COMMON := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_FOLDERS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
.PHONY: unit
$(UNIT_COMMON): $(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(B)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
.SECONDEXPANSION:
folder_objects = $(filter-out %/main.o,$(call objects,$(filter-out $(NESTED),$(wildcard $(1)/*.c $(1)/*/*.c))))
$(UNIT_FOLDERS): $(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $$(call folder_objects,$$(firstword $$(subst /, ,$$*))) $(B)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

UNIT_SELECTED := $(if $(T),$(filter %/test_$(T),$(UNIT_COMMON) $(UNIT_FOLDERS)),$(UNIT_COMMON) $(UNIT_FOLDERS))
unit: $(UNIT_SELECTED) ## Build and run the unit tests (T=name for one)
	$(Q)tests/run-unit $^

clean: ## Remove what was built (not the cached root file system)
	rm -rf $(B)/obj $(B)/bin $(B)/tests $(B)/generated $(B)/libcommon.a $(B)/.build-key

# Targets of the local cluster, the packages and the gates stand beside what they run.
include $(wildcard deploy/*.mk tests/*.mk)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
