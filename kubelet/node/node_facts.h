// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the machine says about itself.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"

struct node_facts {
	int64_t cpus;
	int64_t memory_bytes;
	int64_t memory_available_bytes;
	int64_t storage_bytes; // of the file system under the root directory
	int64_t storage_available_bytes;
	int64_t inodes;
	int64_t inodes_available;
	int64_t max_pids;
	int64_t processes;
	const char *machine_id, *system_uuid, *boot_id;
	const char *kernel_version, *os_image;
};

struct node_facts node_facts_read(struct arena *arena, const char *root_directory);

// The address of the interface with the default route, else the first that isn't loopback; NULL: none.
char *node_address_guess(struct arena *arena);
