// SPDX-License-Identifier: Apache-2.0
// Everything is read anew each time from /proc, /sys and the mounted root: nothing is
// remembered that a restart would have to find again. What can't be read is empty or
// zero, and the node still registers.

#include "kubelet/node/node_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"

enum { MAX_FILE_BYTES = 1 << 18 };

static const char *first_line(struct arena *arena, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	if (file_read(path, &text, NULL) < 0)
		return "";
	return arena_strndup(arena, strbuf_text(&text), strcspn(strbuf_text(&text), "\n"));
}

// "MemTotal:   16315868 kB"
static int64_t meminfo_bytes(const char *meminfo, const char *key)
{
	const char *line = strstr(meminfo, key);
	return line ? strtoll(line + strlen(key), NULL, 10) * 1024 : 0;
}

static const char *os_image(struct arena *arena)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	static const char key[] = "PRETTY_NAME=\"";
	if (file_read("/etc/os-release", &text, NULL) < 0)
		return "";
	const char *found = strstr(strbuf_text(&text), key);
	return found ? arena_strndup(arena, found + strlen(key), strcspn(found + strlen(key), "\"")) : "";
}

static const char *first_known(const char *first, const char *second)
{
	return *first ? first : second;
}

struct node_facts node_facts_read(struct arena *arena, const char *root_directory)
{
	AUTO_STRBUF struct strbuf meminfo = STRBUF_INIT(MAX_FILE_BYTES);
	(void)file_read("/proc/meminfo", &meminfo, NULL);
	struct statvfs storage = {0};
	(void)statvfs(root_directory, &storage);
	struct utsname names;
	uname(&names);
	struct node_facts facts = {
	        .cpus = sysconf(_SC_NPROCESSORS_ONLN),
	        .memory_bytes = meminfo_bytes(strbuf_text(&meminfo), "MemTotal:"),
	        .memory_available_bytes = meminfo_bytes(strbuf_text(&meminfo), "MemAvailable:"),
	        .storage_bytes = (int64_t)(storage.f_blocks * storage.f_frsize),
	        .storage_available_bytes = (int64_t)(storage.f_bavail * storage.f_frsize),
	        .inodes = (int64_t)storage.f_files,
	        .inodes_available = (int64_t)storage.f_favail,
	        .max_pids = strtoll(first_line(arena, "/proc/sys/kernel/pid_max"), NULL, 10),
	        .machine_id = first_line(arena, "/etc/machine-id"),
	        .boot_id = first_line(arena, "/proc/sys/kernel/random/boot_id"),
	        .kernel_version = arena_strdup(arena, names.release),
	        .os_image = os_image(arena),
	};
	facts.system_uuid = first_known(first_line(arena, "/sys/class/dmi/id/product_uuid"), facts.machine_id);
	const char *load = first_line(arena, "/proc/loadavg"); // "0.1 0.1 0.1 1/123 4711"
	const char *slash = strchr(load, '/');
	facts.processes = slash ? strtoll(slash + 1, NULL, 10) : 0;
	return facts;
}

// The interface of the default route, "" for none.
static void default_interface(char out[IF_NAMESIZE])
{
	*out = '\0';
	FILE *file = fopen("/proc/net/route", "re");
	char line[512];
	while (file && fgets(line, sizeof(line), file)) {
		char name[IF_NAMESIZE];
		char destination[16];
		if (sscanf(line, "%15s %15s", name, destination) == 2 && !strcmp(destination, "00000000") && !*out)
			snprintf(out, IF_NAMESIZE, "%s", name);
	}
	if (file)
		fclose(file);
}

char *node_address_guess(struct arena *arena)
{
	char wanted[IF_NAMESIZE];
	char *fallback = NULL;
	char *found = NULL;
	struct ifaddrs *addresses = NULL;
	default_interface(wanted);
	if (getifaddrs(&addresses) < 0)
		return NULL;
	for (const struct ifaddrs *one = addresses; one; one = one->ifa_next) {
		char text[INET_ADDRSTRLEN];
		bool usable = one->ifa_addr && one->ifa_addr->sa_family == AF_INET && (one->ifa_flags & IFF_UP) &&
		              !(one->ifa_flags & IFF_LOOPBACK);
		if (!usable)
			continue;
		inet_ntop(AF_INET, &((const struct sockaddr_in *)one->ifa_addr)->sin_addr, text, sizeof(text));
		if (!found && *wanted && !strcmp(one->ifa_name, wanted))
			found = arena_strdup(arena, text);
		if (!fallback)
			fallback = arena_strdup(arena, text);
	}
	freeifaddrs(addresses);
	return found ? found : fallback;
}
