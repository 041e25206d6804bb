# Installing, the node images, and the local cluster.

BUILD_PACKAGES := $(shell sed '/^\#/d' deploy/packages/build.txt)
TEST_PACKAGES  := $(shell sed '/^\#/d' deploy/packages/test.txt)
NODE_PACKAGES  := $(shell sed '/^\#/d' deploy/packages/node.txt)
NODES ?= 1
comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: deps install install-only images rootfs up down
deps: ## Install the Debian packages that building, testing and the cluster need
	@deploy/packages/ensure $(BUILD_PACKAGES) $(TEST_PACKAGES)

install: all install-only ## Install programs and units (DESTDIR=, PREFIX=)

install-only:
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/sysctl.d $(DESTDIR)$(PREFIX)/lib/modules-load.d
	@install -m 0755 $(PROGRAMS:%=$(B)/bin/%) $(DESTDIR)$(PREFIX)/bin/
	@install -m 0644 deploy/systemd/*.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	@install -m 0644 deploy/sysctl/50-caravel.conf $(DESTDIR)$(PREFIX)/lib/sysctl.d/
	@install -m 0644 deploy/sysctl/caravel-modules.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/caravel.conf

$(B)/bin/pause: deploy/images/pause/pause.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -Os -Wall -Wextra -Werror -static -s -o $@ $<

IMAGES := $(B)/images/pause.tar $(B)/images/busybox-1.0.tar $(B)/images/busybox-2.0.tar
images: $(IMAGES) ## Make the node images (pause, busybox example) as tarballs
$(IMAGES) &: $(B)/bin/pause deploy/images/make-image deploy/images/make-all
	@echo "  IMG  $(B)/images"
	$(Q)deploy/images/make-all $(B) $(B)/bin/pause

rootfs: $(B)/rootfs/.made ## Make the node's root file system, once
$(B)/rootfs/.made: deploy/packages/node.txt
	@rm -rf $(B)/rootfs
	@echo "  ROOT $(B)/rootfs"
	$(Q)mmdebstrap --quiet --variant=minbase --include=$(subst $(space),$(comma),$(strip $(NODE_PACKAGES))) \
		bookworm $(B)/rootfs
	@touch $@

up: deps ## Start the local cluster (installs what is missing and builds first)
	@$(MAKE) --no-print-directory all images rootfs
	@BUILD=$(B) NODES=$(NODES) deploy/cluster/cluster up

down: ## Stop the local cluster and remove all of it
	@BUILD=$(B) deploy/cluster/cluster down
