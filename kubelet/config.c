// SPDX-License-Identifier: Apache-2.0
// KubeletConfiguration: a table of the fields that mean something here, each with the
// flag that goes before it. Fields that upstream knows and this kubelet does not use
// are read over; a wrong type is an error that names the field.

#include "kubelet/config.h"

#include <stdio.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/api/yaml.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum { MAX_CONFIG_BYTES = 1 << 20 };

const struct kubelet_config kubelet_config_defaults = {
        .config_file = "",
        .bootstrap_kubeconfig = "",
        .hostname_override = "",
        .node_ip = "",
        .root_directory = "/var/lib/kubelet",
        .certificate_directory = "/var/lib/kubelet/pki",
        .pod_logs_directory = "/var/log/pods",
        .static_pod_path = "",
        .container_runtime_endpoint = "unix:///run/containerd/containerd.sock",
        .runtime_name = "io.containerd.runc.v2",
        .logger_path = "",
        .infra_image = "caravel.dev/pause:3.10",
        .cni_config_directory = "/etc/cni/net.d",
        .cni_binary_path = "/opt/cni/bin:/usr/lib/cni",
        .cgroup_root = "/",
        .cgroup_driver = "cgroupfs",
        .register_node = true,
        .address = "0.0.0.0",
        .port = 10250,
        .read_only_port = 0,
        .healthz_address = "127.0.0.1",
        .healthz_port = 10248,
        .client_ca_file = "",
        .anonymous_auth = false,
        .token_webhook = true,
        .token_cache_ns = 120 * NSEC_PER_SEC,
        .authorization_mode = "Webhook",
        .allowed_cache_ns = 300 * NSEC_PER_SEC,
        .denied_cache_ns = 30 * NSEC_PER_SEC,
        .tls_certificate_file = "",
        .tls_private_key_file = "",
        .max_pods = 110,
        .cluster_domain = "cluster.local",
        .resolv_conf = "/etc/resolv.conf",
        .file_check_ns = 20 * NSEC_PER_SEC,
        .sync_ns = 60 * NSEC_PER_SEC,
        .node_status_update_ns = 10 * NSEC_PER_SEC,
        .node_status_report_ns = 300 * NSEC_PER_SEC,
        .lease_duration_seconds = 40,
        .container_log_max_bytes = 10 << 20,
        .container_log_max_files = 5,
};

enum field_type {
	FIELD_TEXT,
	FIELD_INTEGER,
	FIELD_BOOL,
	FIELD_DURATION,
	FIELD_QUANTITY,
	FIELD_TEXTS,
};

struct field {
	const char *path; // "authentication.x509.clientCAFile"
	enum field_type type;
	size_t offset;
	const char *flag; // goes before it; NULL: none
};

#define ROW(path, type, member, flag)                                     \
	{                                                                 \
		path, type, offsetof(struct kubelet_config, member), flag \
	}
static const struct field fields[] = {
        ROW("staticPodPath", FIELD_TEXT, static_pod_path, "pod-manifest-path"),
        ROW("clusterDNS", FIELD_TEXTS, cluster_dns, "cluster-dns"),
        ROW("clusterDomain", FIELD_TEXT, cluster_domain, "cluster-domain"),
        ROW("resolvConf", FIELD_TEXT, resolv_conf, "resolv-conf"),
        ROW("cgroupDriver", FIELD_TEXT, cgroup_driver, "cgroup-driver"),
        ROW("cgroupRoot", FIELD_TEXT, cgroup_root, "cgroup-root"),
        ROW("authentication.x509.clientCAFile", FIELD_TEXT, client_ca_file, "client-ca-file"),
        ROW("authentication.anonymous.enabled", FIELD_BOOL, anonymous_auth, "anonymous-auth"),
        ROW("authentication.webhook.enabled", FIELD_BOOL, token_webhook, "authentication-token-webhook"),
        ROW("authentication.webhook.cacheTTL", FIELD_DURATION, token_cache_ns,
            "authentication-token-webhook-cache-ttl"),
        ROW("authorization.mode", FIELD_TEXT, authorization_mode, "authorization-mode"),
        ROW("authorization.webhook.cacheAuthorizedTTL", FIELD_DURATION, allowed_cache_ns,
            "authorization-webhook-cache-authorized-ttl"),
        ROW("authorization.webhook.cacheUnauthorizedTTL", FIELD_DURATION, denied_cache_ns,
            "authorization-webhook-cache-unauthorized-ttl"),
        ROW("seccompDefault", FIELD_BOOL, seccomp_default, "seccomp-default"),
        ROW("allowedUnsafeSysctls", FIELD_TEXTS, allowed_unsafe_sysctls, "allowed-unsafe-sysctls"),
        ROW("rotateCertificates", FIELD_BOOL, rotate_certificates, "rotate-certificates"),
        ROW("serverTLSBootstrap", FIELD_BOOL, server_tls_bootstrap, "rotate-server-certificates"),
        ROW("tlsCertFile", FIELD_TEXT, tls_certificate_file, "tls-cert-file"),
        ROW("tlsPrivateKeyFile", FIELD_TEXT, tls_private_key_file, "tls-private-key-file"),
        ROW("address", FIELD_TEXT, address, "address"),
        ROW("port", FIELD_INTEGER, port, "port"),
        ROW("healthzBindAddress", FIELD_TEXT, healthz_address, "healthz-bind-address"),
        ROW("healthzPort", FIELD_INTEGER, healthz_port, "healthz-port"),
        ROW("maxPods", FIELD_INTEGER, max_pods, "max-pods"),
        ROW("registerNode", FIELD_BOOL, register_node, "register-node"),
        ROW("fileCheckFrequency", FIELD_DURATION, file_check_ns, "file-check-frequency"),
        ROW("syncFrequency", FIELD_DURATION, sync_ns, "sync-frequency"),
        ROW("nodeStatusUpdateFrequency", FIELD_DURATION, node_status_update_ns, "node-status-update-frequency"),
        ROW("nodeStatusReportFrequency", FIELD_DURATION, node_status_report_ns, NULL),
        ROW("nodeLeaseDurationSeconds", FIELD_INTEGER, lease_duration_seconds, NULL),
        ROW("containerRuntimeEndpoint", FIELD_TEXT, container_runtime_endpoint, "container-runtime-endpoint"),
        ROW("containerLogMaxSize", FIELD_QUANTITY, container_log_max_bytes, "container-log-max-size"),
        ROW("containerLogMaxFiles", FIELD_INTEGER, container_log_max_files, "container-log-max-files"),
        ROW("podLogsDir", FIELD_TEXT, pod_logs_directory, "pod-logs-dir"),
};

static const struct json *find(const struct json *document, const char *path)
{
	while (document) {
		size_t length = strcspn(path, ".");
		document = json_get_n(document, path, length);
		if (!path[length])
			return document;
		path += length + 1;
	}
	return NULL;
}

static bool set_texts(struct arena *arena, const struct json *value, struct string_list *list)
{
	if (!json_is(value, JSON_ARRAY))
		return false;
	list->items = ARENA_ARRAY(arena, const char *, value->length + 1);
	list->count = 0;
	json_for_each_item (item, value) {
		if (!json_text(item))
			return false;
		list->items[list->count++] = arena_strdup(arena, json_text(item));
	}
	return true;
}

static bool set_field(struct arena *arena, const struct field *field, const struct json *value, void *target)
{
	const char *text = json_text(value);
	switch (field->type) {
	case FIELD_TEXT:
		if (text)
			*(const char **)target = arena_strdup(arena, text);
		return text;
	case FIELD_INTEGER:
		if (json_is(value, JSON_INTEGER))
			*(int64_t *)target = value->integer;
		return json_is(value, JSON_INTEGER);
	case FIELD_BOOL:
		if (json_is(value, JSON_BOOL))
			*(bool *)target = value->boolean;
		return json_is(value, JSON_BOOL);
	case FIELD_DURATION:
		if (json_is(value, JSON_INTEGER) && !value->integer)
			return true; // upstream writes 0s for "the default"
		int64_t duration;
		if (!text || !duration_parse(text, &duration))
			return false;
		if (duration)
			*(int64_t *)target = duration;
		return true;
	case FIELD_QUANTITY:
		if (text)
			*(int64_t *)target = quantity_text_value(text);
		return text;
	case FIELD_TEXTS:
		return set_texts(arena, value, target);
	}
	return false;
}

// What upstream's KubeletConfiguration knows besides the table above, objects with their members.
static const char *const other_fields[] = {"allowedUnsafeSysctls",
                                           "apiVersion",
                                           "cgroupsPerQOS",
                                           "configMapAndSecretChangeDetectionStrategy",
                                           "containerLogMaxWorkers",
                                           "containerLogMonitorInterval",
                                           "contentType",
                                           "cpuCFSQuota",
                                           "cpuCFSQuotaPeriod",
                                           "cpuManagerPolicy",
                                           "cpuManagerPolicyOptions",
                                           "cpuManagerReconcilePeriod",
                                           "crashLoopBackOff",
                                           "enableContentionProfiling",
                                           "enableControllerAttachDetach",
                                           "enableDebugFlagsHandler",
                                           "enableDebuggingHandlers",
                                           "enableProfilingHandler",
                                           "enableServer",
                                           "enableSystemLogHandler",
                                           "enableSystemLogQuery",
                                           "enforceNodeAllocatable",
                                           "eventBurst",
                                           "eventRecordQPS",
                                           "evictionHard",
                                           "evictionMaxPodGracePeriod",
                                           "evictionMinimumReclaim",
                                           "evictionPressureTransitionPeriod",
                                           "evictionSoft",
                                           "evictionSoftGracePeriod",
                                           "failCgroupV1",
                                           "failSwapOn",
                                           "featureGates",
                                           "hairpinMode",
                                           "httpCheckFrequency",
                                           "imageGCHighThresholdPercent",
                                           "imageGCLowThresholdPercent",
                                           "imageMaximumGCAge",
                                           "imageMinimumGCAge",
                                           "imagePullCredentialsVerificationPolicy",
                                           "imageServiceEndpoint",
                                           "iptablesDropBit",
                                           "iptablesMasqueradeBit",
                                           "kernelMemcgNotification",
                                           "kind",
                                           "kubeAPIBurst",
                                           "kubeAPIQPS",
                                           "kubeReserved",
                                           "kubeReservedCgroup",
                                           "kubeletCgroups",
                                           "localStorageCapacityIsolation",
                                           "logging",
                                           "makeIPTablesUtilChains",
                                           "maxOpenFiles",
                                           "maxParallelImagePulls",
                                           "memoryManagerPolicy",
                                           "memorySwap",
                                           "memoryThrottlingFactor",
                                           "mergeDefaultEvictionSettings",
                                           "nodeStatusMaxImages",
                                           "oomScoreAdj",
                                           "podCIDR",
                                           "podPidsLimit",
                                           "podsPerCore",
                                           "preloadedImagesVerificationAllowlist",
                                           "protectKernelDefaults",
                                           "providerID",
                                           "qosReserved",
                                           "readOnlyPort",
                                           "registerWithTaints",
                                           "registryBurst",
                                           "registryPullQPS",
                                           "reservedMemory",
                                           "reservedSystemCPUs",
                                           "runOnce",
                                           "runtimeRequestTimeout",
                                           "serializeImagePulls",
                                           "showHiddenMetricsForVersion",
                                           "shutdownGracePeriod",
                                           "shutdownGracePeriodByPodPriority",
                                           "shutdownGracePeriodCriticalPods",
                                           "singleProcessOOMKill",
                                           "staticPodURL",
                                           "staticPodURLHeader",
                                           "streamingConnectionIdleTimeout",
                                           "systemCgroups",
                                           "systemReserved",
                                           "systemReservedCgroup",
                                           "tlsCipherSuites",
                                           "tlsMinVersion",
                                           "topologyManagerPolicy",
                                           "topologyManagerPolicyOptions",
                                           "topologyManagerScope",
                                           "tracing",
                                           "userNamespaces",
                                           "volumePluginDir",
                                           "volumeStatsAggPeriod"};

// `is_whole`: the field itself and not only something above it.
static bool is_known(const char *path, bool *is_whole)
{
	size_t length = strlen(path);
	*is_whole = true;
	for (size_t index = 0; index < ARRAY_SIZE(other_fields); index++)
		if (!strcmp(other_fields[index], path))
			return true;
	for (size_t index = 0; index < ARRAY_SIZE(fields); index++)
		if (!strcmp(fields[index].path, path))
			return true;
	*is_whole = false;
	for (size_t index = 0; index < ARRAY_SIZE(fields); index++)
		if (!strncmp(fields[index].path, path, length) && fields[index].path[length] == '.')
			return true;
	return false;
}

static void find_unknown(struct arena *arena, const struct json *object, const char *prefix, struct strbuf *out)
{
	if (!json_is(object, JSON_OBJECT))
		return;
	json_for_each_member (member, object) {
		const char *path = arena_printf(arena, "%s%s%s", prefix, *prefix ? "." : "", member->key);
		bool is_whole;
		if (!is_known(path, &is_whole))
			strbuf_printf(out, "%sunknown field \"%s\"", out->length ? ", " : "", path);
		else if (!is_whole)
			find_unknown(arena, member->value, path, out);
	}
}

// As upstream: what can't be read strictly is said and then read leniently.
static void tell_unknown(struct arena *arena, const struct json *document)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	find_unknown(arena, document, "", &text);
	if (!text.length)
		return;
	AUTO_FREE char *message = xasprintf("strict decoding error: %s", strbuf_text(&text));
	log_warning("Using lenient decoding as strict decoding failed", kv_str("err", message));
}

void kubelet_config_set_legacy_defaults(const struct option *options, struct kubelet_config *config)
{
	if (!option_was_set(options, "anonymous-auth"))
		config->anonymous_auth = true;
	if (!option_was_set(options, "authentication-token-webhook"))
		config->token_webhook = false;
	if (!option_was_set(options, "authorization-mode"))
		config->authorization_mode = "AlwaysAllow";
}

static int check_type(const struct json *document, const char *path, struct err *err)
{
	const char *version = json_get_text(document, "apiVersion");
	const char *kind = json_get_text(document, "kind");
	if (!version || !kind || strcmp(version, "kubelet.config.k8s.io/v1beta1") ||
	    strcmp(kind, "KubeletConfiguration"))
		return err_set(err, ERR_INVALID,
		               "%s: no kind \"%s\" is registered for version \"%s\": want KubeletConfiguration of "
		               "kubelet.config.k8s.io/v1beta1",
		               path, kind ? kind : "", version ? version : "");
	return 0;
}

int kubelet_config_load(struct arena *arena, const char *path, const struct option *options,
                        struct kubelet_config *config, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_CONFIG_BYTES);
	struct yaml_document *documents;
	size_t count;
	int result = file_read(path, &text, err);
	if (result == 0)
		result = yaml_parse(arena, strbuf_text(&text), text.length, NULL, &documents, &count, err);
	if (result < 0)
		return err_wrap(err, "failed to load kubelet config file, path: %s", path);
	if (count != 1)
		return err_set(err, ERR_INVALID, "%s: expected one document, found %zu", path, count);
	result = check_type(documents[0].value, path, err);
	if (result == 0)
		tell_unknown(arena, documents[0].value);
	for (size_t index = 0; index < ARRAY_SIZE(fields) && result == 0; index++) {
		const struct field *field = &fields[index];
		const struct json *value = find(documents[0].value, field->path);
		if (!value || json_is(value, JSON_NULL) || (field->flag && option_was_set(options, field->flag)))
			continue;
		if (!set_field(arena, field, value, (char *)config + field->offset))
			result = err_set(err, ERR_INVALID, "%s: invalid value for %s", path, field->path);
	}
	return result;
}

static struct json *field_value(struct arena *arena, const struct field *field, const void *source)
{
	char duration[32];
	switch (field->type) {
	case FIELD_TEXT:
		return json_string(arena, *(const char *const *)source);
	case FIELD_INTEGER:
		return json_integer(arena, *(const int64_t *)source);
	case FIELD_BOOL:
		return json_bool(arena, *(const bool *)source);
	case FIELD_DURATION:
		duration_format(*(const int64_t *)source, duration);
		return json_string(arena, duration);
	case FIELD_QUANTITY:
		return json_string(arena, arena_printf(arena, "%lld", (long long)*(const int64_t *)source));
	case FIELD_TEXTS:
		break;
	}
	const struct string_list *list = source;
	struct json *array = json_array(arena);
	for (size_t index = 0; index < list->count; index++)
		json_append(arena, array, json_string(arena, list->items[index]));
	return array;
}

struct json *kubelet_config_to_json(struct arena *arena, const struct kubelet_config *config)
{
	struct json *document = json_object(arena);
	for (size_t index = 0; index < ARRAY_SIZE(fields); index++) {
		struct json *object = document;
		const char *name = fields[index].path;
		for (const char *dot; (dot = strchr(name, '.')); name = dot + 1)
			object = json_ensure_object(arena, object, arena_strndup(arena, name, (size_t)(dot - name)));
		json_set(arena, object, name,
		         field_value(arena, &fields[index], (const char *)config + fields[index].offset));
	}
	return document;
}
