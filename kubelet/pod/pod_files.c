// SPDX-License-Identifier: Apache-2.0
// Containers have these files bind-mounted: they are written in place, never
// replaced, and only when their text changes.

#include "kubelet/pod/pod_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"

enum { MAX_FILE_BYTES = 1 << 20, MAX_HOST_NAME = 63, MAX_NAME_SERVERS = 3, MAX_SEARCHES = 32 };

static bool has_text(const char *text)
{
	return text && *text;
}

// --- the host's name ---------------------------------------------------------------------

static const char *short_name(struct arena *arena, const struct core_v1_pod *pod)
{
	const char *name = has_text(pod->spec.hostname) ? pod->spec.hostname : pod->metadata.name;
	char *cut = arena_strndup(arena, name, strnlen(name, MAX_HOST_NAME));
	for (size_t length = strlen(cut); length && (cut[length - 1] == '-' || cut[length - 1] == '.'); length--)
		cut[length - 1] = '\0';
	return cut;
}

// "host.subdomain.namespace.svc.domain", NULL without a subdomain.
static const char *full_name(struct arena *arena, const struct core_v1_pod *pod, const char *cluster_domain)
{
	if (!has_text(pod->spec.subdomain))
		return NULL;
	return arena_printf(arena, "%s.%s.%s.svc.%s", short_name(arena, pod), pod->spec.subdomain,
	                    pod->metadata.namespace, cluster_domain);
}

char *pod_host_name(struct arena *arena, const struct core_v1_pod *pod, const char *cluster_domain)
{
	const char *full = pod->spec.set_hostname_as_fqdn && *pod->spec.set_hostname_as_fqdn
	                           ? full_name(arena, pod, cluster_domain)
	                           : NULL;
	return arena_strdup(arena, full ? full : short_name(arena, pod));
}

// --- /etc/hosts ------------------------------------------------------------------------------

static void write_aliases(struct strbuf *out, const struct core_v1_pod *pod)
{
	if (!pod->spec.host_aliases.count)
		return;
	strbuf_append_text(out, "\n# Entries added by HostAliases.\n");
	for (size_t index = 0; index < pod->spec.host_aliases.count; index++) {
		const struct core_v1_host_alias *alias = &pod->spec.host_aliases.items[index];
		strbuf_append_text(out, alias->ip);
		for (size_t name = 0; name < alias->hostnames.count; name++)
			strbuf_printf(out, "\t%s", alias->hostnames.items[name]);
		strbuf_append_char(out, '\n');
	}
}

void pod_hosts_text(struct strbuf *out, const struct core_v1_pod *pod, const char *const *addresses,
                    size_t address_count, const char *cluster_domain, const char *node_hosts)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	if (node_hosts) {
		strbuf_printf(out, "# Kubernetes-managed hosts file (host network).\n%s", node_hosts);
		write_aliases(out, pod);
		return;
	}
	strbuf_append_text(out, "# Kubernetes-managed hosts file.\n"
	                        "127.0.0.1\tlocalhost\n"
	                        "::1\tlocalhost ip6-localhost ip6-loopback\n"
	                        "fe00::0\tip6-localnet\n"
	                        "fe00::0\tip6-mcastprefix\n"
	                        "fe00::1\tip6-allnodes\n"
	                        "fe00::2\tip6-allrouters\n");
	const char *full = full_name(arena, pod, cluster_domain);
	for (size_t index = 0; index < address_count; index++)
		strbuf_printf(out, "%s\t%s%s%s\n", addresses[index], full ? full : "", full ? "\t" : "",
		              short_name(arena, pod));
	write_aliases(out, pod);
}

// --- /etc/resolv.conf --------------------------------------------------------------------------

struct dns_lists {
	struct arena *arena;
	const char *servers[MAX_NAME_SERVERS];
	size_t server_count;
	const char *searches[MAX_SEARCHES];
	size_t search_count;
	struct string_map options; // name → value, "" for none
};

static void add_unique(const char **list, size_t *count, size_t capacity, const char *text)
{
	for (size_t index = 0; index < *count; index++)
		if (!strcmp(list[index], text))
			return;
	if (*count < capacity)
		list[(*count)++] = text;
}

static void add_option(struct dns_lists *lists, const char *text)
{
	const char *colon = strchr(text, ':');
	const char *name = colon ? arena_strndup(lists->arena, text, (size_t)(colon - text)) : text;
	string_map_set(lists->arena, &lists->options, name, colon ? colon + 1 : "");
}

static void parse_node_line(struct dns_lists *lists, char *line, bool with_servers)
{
	char *save = NULL;
	const char *word = strtok_r(line, " \t", &save);
	if (!word || *word == '#' || *word == ';')
		return;
	if (!strcmp(word, "search") || !strcmp(word, "domain"))
		lists->search_count = with_servers ? 0 : lists->search_count; // the last line counts
	for (const char *value; (value = strtok_r(NULL, " \t", &save));) {
		if (!strcmp(word, "nameserver") && with_servers)
			add_unique(lists->servers, &lists->server_count, MAX_NAME_SERVERS, value);
		else if (!strcmp(word, "search") || !strcmp(word, "domain"))
			add_unique(lists->searches, &lists->search_count, MAX_SEARCHES, value);
		else if (!strcmp(word, "options") && with_servers)
			add_option(lists, value);
	}
}

static void add_node(struct dns_lists *lists, const char *text, bool with_servers)
{
	char *save = NULL;
	for (char *line = strtok_r(arena_strdup(lists->arena, text), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		parse_node_line(lists, line, with_servers);
}

static void add_cluster(struct dns_lists *lists, const struct core_v1_pod *pod, const struct dns_settings *settings)
{
	for (size_t index = 0; index < settings->cluster_dns_count; index++)
		add_unique(lists->servers, &lists->server_count, MAX_NAME_SERVERS, settings->cluster_dns[index]);
	if (has_text(settings->cluster_domain)) {
		const char *domain = settings->cluster_domain;
		const char *names[] = {arena_printf(lists->arena, "%s.svc.%s", pod->metadata.namespace, domain),
		                       arena_printf(lists->arena, "svc.%s", domain), domain};
		for (size_t index = 0; index < ARRAY_SIZE(names); index++)
			add_unique(lists->searches, &lists->search_count, MAX_SEARCHES, names[index]);
	}
	add_node(lists, settings->node_resolv_conf, false);
	add_option(lists, "ndots:5");
}

static void add_pod(struct dns_lists *lists, const struct core_v1_pod_dns_config *config)
{
	for (size_t index = 0; index < config->nameservers.count; index++)
		add_unique(lists->servers, &lists->server_count, MAX_NAME_SERVERS, config->nameservers.items[index]);
	for (size_t index = 0; index < config->searches.count; index++)
		add_unique(lists->searches, &lists->search_count, MAX_SEARCHES, config->searches.items[index]);
	for (size_t index = 0; index < config->options.count; index++)
		string_map_set(lists->arena, &lists->options, config->options.items[index].name,
		               config->options.items[index].value ? config->options.items[index].value : "");
}

void pod_resolv_conf_text(struct strbuf *out, const struct core_v1_pod *pod, const struct dns_settings *settings)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct dns_lists lists = {.arena = arena};
	const char *policy = has_text(pod->spec.dns_policy) ? pod->spec.dns_policy : "ClusterFirst";
	bool cluster = !strcmp(policy, "ClusterFirstWithHostNet") ||
	               (!strcmp(policy, "ClusterFirst") && !pod->spec.host_network);
	if (cluster && settings->cluster_dns_count)
		add_cluster(&lists, pod, settings);
	else if (strcmp(policy, "None"))
		add_node(&lists, settings->node_resolv_conf, true);
	if (pod->spec.dns_config)
		add_pod(&lists, pod->spec.dns_config);
	for (size_t index = 0; index < lists.search_count; index++)
		strbuf_printf(out, "%s%s", index ? " " : "search ", lists.searches[index]);
	if (lists.search_count)
		strbuf_append_char(out, '\n');
	for (size_t index = 0; index < lists.server_count; index++)
		strbuf_printf(out, "nameserver %s\n", lists.servers[index]);
	for (size_t index = 0; index < lists.options.count; index++)
		strbuf_printf(out, "%s%s%s%s", index ? " " : "options ", lists.options.entries[index].key,
		              *lists.options.entries[index].value ? ":" : "", lists.options.entries[index].value);
	if (lists.options.count)
		strbuf_append_char(out, '\n');
}

// --- writing -----------------------------------------------------------------------------------

static int write_in_place(const char *path, const struct strbuf *text, struct err *err)
{
	AUTO_STRBUF struct strbuf present = STRBUF_INIT(MAX_FILE_BYTES);
	if (file_read(path, &present, NULL) == 0 && present.length == text->length &&
	    !memcmp(strbuf_text(&present), strbuf_text(text), text->length))
		return 0;
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set_errno(err, errno, "create %s", path);
	if (fchmod(fd, 0644) < 0 || write(fd, strbuf_text(text), text->length) != (ssize_t)text->length)
		return err_set_errno(err, errno, "write %s", path);
	return 0;
}

static void read_node_file(const char *path, struct strbuf *out)
{
	(void)file_read(path, out, NULL); // without it the pod goes without
}

int pod_files_write(const struct pod *pod, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct kubelet_config *config = pod->kubelet->config;
	AUTO_STRBUF struct strbuf node_file = STRBUF_INIT(MAX_FILE_BYTES);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	if (pod_uses_host_network(pod))
		read_node_file("/etc/hosts", &node_file);
	pod_hosts_text(&text, pod->view, (const char *const *)pod->sandbox.addresses, pod->sandbox.address_count,
	               config->cluster_domain, pod_uses_host_network(pod) ? strbuf_text(&node_file) : NULL);
	int result = write_in_place(arena_printf(arena, "%s/etc-hosts", pod->directory), &text, err);
	strbuf_clear(&node_file);
	strbuf_clear(&text);
	if (*config->resolv_conf)
		read_node_file(config->resolv_conf, &node_file);
	struct dns_settings settings = {
	        .cluster_dns = config->cluster_dns.items,
	        .cluster_dns_count = config->cluster_dns.count,
	        .cluster_domain = config->cluster_domain,
	        .node_resolv_conf = strbuf_text(&node_file),
	};
	pod_resolv_conf_text(&text, pod->view, &settings);
	if (result == 0)
		result = write_in_place(arena_printf(arena, "%s/resolv.conf", pod->directory), &text, err);
	strbuf_clear(&text);
	strbuf_printf(&text, "%s\n",
	              pod_uses_host_network(pod) ? pod->kubelet->node_name
	                                         : pod_host_name(arena, pod->view, config->cluster_domain));
	return result < 0 ? result : write_in_place(arena_printf(arena, "%s/hostname", pod->directory), &text, err);
}
