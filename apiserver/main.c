// SPDX-License-Identifier: Apache-2.0
// kube-apiserver: flags, log, signals. The flags are upstream's; those that
// upstream has and this server does not need are taken and said so.

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apiserver/admission/admission.h"
#include "apiserver/enabled.h"
#include "apiserver/security_flags.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "common/io/tls.h"

static struct string_list arg_runtime_config, arg_feature_gates;
static struct server_config arg_config = {
        .bind_address = "0.0.0.0",
        .advertise_address = "",
        .secure_port = 6443,
        .certificate_file = "",
        .private_key_file = "",
        .client_ca_file = "",
        .authentication = AUTHENTICATION_FLAGS_INIT,
        .etcd_ca_file = "",
        .etcd_certificate_file = "",
        .etcd_private_key_file = "",
        .etcd_prefix = "/registry",
        .etcd_compaction_interval_ns = 300 * NSEC_PER_SEC,
        .kubelet_certificate_file = "",
        .kubelet_private_key_file = "",
        .kubelet_ca_file = "",
        .kubelet_timeout_ns = 5 * NSEC_PER_SEC,
        .encryption_file = "",
        .proxy_certificate_file = "",
        .proxy_private_key_file = "",
        .allow_privileged = false,
        .fairness = true,
        .max_requests_in_flight = 400,
        .max_mutating_requests_in_flight = 200,
        .encoding_cache_mib = 64,
        .min_request_timeout_ns = 1800 * NSEC_PER_SEC,
        .event_ttl_ns = 3600 * NSEC_PER_SEC,
        .shutdown_grace_ns = 10 * NSEC_PER_SEC,
        .default_not_ready_toleration_seconds = 300,
        .default_unreachable_toleration_seconds = 300,
        .admission_config_file = "",
        .audit = AUDITOR_CONFIG_INIT,
        .authorization = AUTHORIZATION_FLAGS_INIT,
};
static const char *arg_service_cluster_ip_range = "10.0.0.0/24";
static const char *arg_service_node_port_range = "30000-32767";
static const char *arg_tls_min_version = "";
static struct security_flags arg_security;
static int64_t arg_min_request_timeout_seconds = 1800;
static struct logging_options arg_logging = LOGGING_OPTIONS_INIT;
static bool arg_help;
static bool arg_version;

#define IGNORED(name, group, value_name)                                                       \
	{                                                                                      \
		name, 0, OPTION_IGNORED, NULL, group, value_name, "accepted for compatibility" \
	}

static const struct option options[] = {
        {"etcd-servers", 0, OPTION_STRINGS, &arg_config.etcd_servers, "etcd", "urls",
         "etcd servers (scheme://host:port, or unix:/path), comma separated"},
        {"etcd-cafile", 0, OPTION_STRING, &arg_config.etcd_ca_file, "etcd", "file",
         "certificate authority of etcd's server certificates"},
        {"etcd-certfile", 0, OPTION_STRING, &arg_config.etcd_certificate_file, "etcd", "file",
         "client certificate for etcd"},
        {"etcd-keyfile", 0, OPTION_STRING, &arg_config.etcd_private_key_file, "etcd", "file",
         "key of the client certificate for etcd"},
        {"etcd-prefix", 0, OPTION_STRING, &arg_config.etcd_prefix, "etcd", "prefix",
         "what all keys in etcd begin with"},
        {"etcd-compaction-interval", 0, OPTION_DURATION, &arg_config.etcd_compaction_interval_ns, "etcd", "duration",
         "how often old revisions are compacted; 0 turns it off"},

        {"runtime-config", 0, OPTION_STRINGS, &arg_runtime_config, "Features", "name=bool",
         "switches API versions and resources: api/all, api/ga, api/beta, api/alpha, GROUP/VERSION, "
         "GROUP/VERSION/RESOURCE"},
        {"feature-gates", 0, OPTION_STRINGS, &arg_feature_gates, "Features", "name=bool",
         "gates of resources that are alpha or beta; other gates are accepted and change nothing here"},

        {"bind-address", 0, OPTION_STRING, &arg_config.bind_address, "Serving", "address",
         "IP address to listen on; 0.0.0.0 or :: for all"},
        {"secure-port", 0, OPTION_INT, &arg_config.secure_port, "Serving", "port", "port to serve HTTPS on"},
        {"advertise-address", 0, OPTION_STRING, &arg_config.advertise_address, "Serving", "address",
         "IP address at which the cluster reaches this server; default: the bind address, else the host's"},
        {"tls-cert-file", 0, OPTION_STRING, &arg_config.certificate_file, "Serving", "file",
         "certificate (with its chain) for HTTPS"},
        {"tls-private-key-file", 0, OPTION_STRING, &arg_config.private_key_file, "Serving", "file",
         "key of the HTTPS certificate"},
        {"tls-min-version", 0, OPTION_STRING, &arg_tls_min_version, "Serving", "version",
         "VersionTLS12 or VersionTLS13"},
        {"encryption-provider-config", 0, OPTION_STRING, &arg_config.encryption_file, "etcd", "file",
         "EncryptionConfiguration: which resources are encrypted in etcd, and how"},
        {"encryption-provider-config-automatic-reload", 0, OPTION_BOOL, &arg_config.encryption_reload, "etcd", "",
         "read that file again when it changes"},
        {"proxy-client-cert-file", 0, OPTION_STRING, &arg_config.proxy_certificate_file, "Aggregation", "file",
         "client certificate to show to aggregated API servers"},
        {"proxy-client-key-file", 0, OPTION_STRING, &arg_config.proxy_private_key_file, "Aggregation", "file",
         "key of that certificate"},
        {"enable-aggregator-routing", 0, OPTION_BOOL, &arg_config.aggregator_routing, "Aggregation", "",
         "send requests for aggregated API servers to endpoints, not to cluster IPs"},
        {"tls-cipher-suites", 0, OPTION_STRINGS, &arg_security.cipher_suites, "Serving", "names",
         "cipher suites of TLS 1.2"},
        {"tls-sni-cert-key", 0, OPTION_STRING_ARRAY, &arg_security.sni, "Serving", "cert,key:names",
         "certificate and key for clients that ask for certain names; repeated"},
        {"strict-transport-security-directives", 0, OPTION_STRINGS, &arg_security.strict_transport_security, "Serving",
         "list", "directives of the Strict-Transport-Security header"},
        {"max-requests-inflight", 0, OPTION_INT, &arg_config.max_requests_in_flight, "Serving", "number",
         "reading requests served at once, others get 429; 0 for no limit"},
        {"max-mutating-requests-inflight", 0, OPTION_INT, &arg_config.max_mutating_requests_in_flight, "Serving",
         "number", "writing requests served at once, others get 429; 0 for no limit"},
        {"enable-priority-and-fairness", 0, OPTION_BOOL, &arg_config.fairness, "Serving", "",
         "share the requests in flight (the sum of both limits) out by priority levels, with fair queues"},
        {"encoding-cache-size-mib", 0, OPTION_INT, &arg_config.encoding_cache_mib, "Serving", "MiB",
         "memory for the protobuf encodings of objects that are kept beside them; 0 keeps none"},
        {"min-request-timeout", 0, OPTION_INT, &arg_min_request_timeout_seconds, "Serving", "seconds",
         "watches are ended after a random time from this to twice this"},
        {"shutdown-grace-period", 0, OPTION_DURATION, &arg_config.shutdown_grace_ns, "Serving", "duration",
         "how long a stop waits for requests under way"},

        {"client-ca-file", 0, OPTION_STRING, &arg_config.client_ca_file, "Authentication", "file",
         "client certificates signed by these authorities authenticate (common name: user, organizations: groups)"},
        {"anonymous-auth", 0, OPTION_BOOL, &arg_config.authentication.anonymous, "Authentication", "",
         "requests without credentials are those of system:anonymous"},
        {"service-account-key-file", 0, OPTION_STRING_ARRAY, &arg_config.authentication.key_files, "Authentication",
         "files", "public keys that verify service account tokens"},
        {"service-account-signing-key-file", 0, OPTION_STRING, &arg_config.authentication.signing_key_file,
         "Authentication", "file", "key that signs service account tokens"},
        {"service-account-issuer", 0, OPTION_STRING_ARRAY, &arg_config.authentication.issuers, "Authentication", "urls",
         "issuers of service account tokens"},
        {"service-account-jwks-uri", 0, OPTION_STRING, &arg_config.authentication.jwks_uri, "Authentication", "url",
         "where the keys of service account tokens are published"},
        {"service-account-max-token-expiration", 0, OPTION_DURATION, &arg_config.authentication.max_token_expiration_ns,
         "Authentication", "duration", "longest life of a requested token; 0 for no limit"},
        {"service-account-lookup", 0, OPTION_BOOL, &arg_config.authentication.lookup, "Authentication", "",
         "believe service account tokens of secrets only while their secret is there"},
        {"service-account-extend-token-expiration", 0, OPTION_BOOL, &arg_config.authentication.extend_expiration,
         "Authentication", "", "let injected tokens live on after their time, with a warning"},
        {"api-audiences", 0, OPTION_STRINGS, &arg_config.authentication.api_audiences, "Authentication", "names",
         "audiences of this server; default: the issuers of service account tokens"},
        {"enable-bootstrap-token-auth", 0, OPTION_BOOL, &arg_config.authentication.bootstrap_tokens, "Authentication",
         "", "secrets of type bootstrap.kubernetes.io/token in kube-system authenticate"},
        {"token-auth-file", 0, OPTION_STRING, &arg_config.authentication.token_file, "Authentication", "file",
         "static tokens: token, user, uid and quoted groups, with commas, a line"},
        {"requestheader-client-ca-file", 0, OPTION_STRING, &arg_config.authentication.front_proxy_ca_file,
         "Authentication", "file", "authorities of front proxies, who say in headers who asks"},
        {"requestheader-allowed-names", 0, OPTION_STRINGS, &arg_config.authentication.front_proxy_names,
         "Authentication", "names", "common names of front proxies; empty for any"},
        {"requestheader-username-headers", 0, OPTION_STRINGS, &arg_config.authentication.username_headers,
         "Authentication", "names", "headers of the user's name"},
        {"requestheader-uid-headers", 0, OPTION_STRINGS, &arg_config.authentication.uid_headers, "Authentication",
         "names", "headers of the user's uid"},
        {"requestheader-group-headers", 0, OPTION_STRINGS, &arg_config.authentication.group_headers, "Authentication",
         "names", "headers of the user's groups"},
        {"requestheader-extra-headers-prefix", 0, OPTION_STRINGS, &arg_config.authentication.extra_header_prefixes,
         "Authentication", "prefixes", "what headers of the user's extra facts begin with"},
        {"authentication-config", 0, OPTION_STRING, &arg_config.authentication.config_file, "Authentication", "file",
         "AuthenticationConfiguration: token issuers and anonymous requests"},
        {"authentication-token-webhook-config-file", 0, OPTION_STRING, &arg_config.authentication.webhook_config_file,
         "Authentication", "file", "kubeconfig of a webhook that knows tokens"},
        {"authentication-token-webhook-cache-ttl", 0, OPTION_DURATION, &arg_config.authentication.webhook_ttl_ns,
         "Authentication", "duration", "how long its answers are kept"},
        {"authentication-token-webhook-version", 0, OPTION_STRING, &arg_config.authentication.webhook_version,
         "Authentication", "version", "version of the TokenReview that it gets, v1 or v1beta1"},
        {"oidc-issuer-url", 0, OPTION_STRING, &arg_config.authentication.oidc_issuer_url, "Authentication", "url",
         "issuer of OpenID Connect tokens, https only"},
        {"oidc-client-id", 0, OPTION_STRING, &arg_config.authentication.oidc_client_id, "Authentication", "name",
         "audience that they must be for"},
        {"oidc-ca-file", 0, OPTION_STRING, &arg_config.authentication.oidc_ca_file, "Authentication", "file",
         "authorities of the issuer's server; default: the host's"},
        {"oidc-username-claim", 0, OPTION_STRING, &arg_config.authentication.oidc_username_claim, "Authentication",
         "name", "claim of the user name"},
        {"oidc-username-prefix", 0, OPTION_STRING, &arg_config.authentication.oidc_username_prefix, "Authentication",
         "prefix", "what user names are prefixed with; - for nothing"},
        {"oidc-groups-claim", 0, OPTION_STRING, &arg_config.authentication.oidc_groups_claim, "Authentication", "name",
         "claim of the groups"},
        {"oidc-groups-prefix", 0, OPTION_STRING, &arg_config.authentication.oidc_groups_prefix, "Authentication",
         "prefix", "what groups are prefixed with"},
        {"oidc-required-claim", 0, OPTION_STRING_ARRAY, &arg_config.authentication.oidc_required_claims,
         "Authentication", "key=value", "claim that must be in the token"},
        {"oidc-signing-algs", 0, OPTION_STRINGS, &arg_config.authentication.oidc_signing_algorithms, "Authentication",
         "names", "accepted algorithms; default RS256"},

        {"authorization-mode", 0, OPTION_STRINGS, &arg_config.authorization.modes, "Authorization", "modes",
         "AlwaysAllow, AlwaysDeny, ABAC, Webhook, RBAC, Node"},
        {"authorization-config", 0, OPTION_STRING, &arg_config.authorization.config_file, "Authorization", "file",
         "AuthorizationConfiguration: the authorizers in their order"},
        {"authorization-policy-file", 0, OPTION_STRING, &arg_config.authorization.policy_file, "Authorization", "file",
         "policies of ABAC, a line of JSON each"},
        {"authorization-webhook-config-file", 0, OPTION_STRING, &arg_config.authorization.webhook_config_file,
         "Authorization", "file", "kubeconfig of the webhook that authorizes"},
        {"authorization-webhook-version", 0, OPTION_STRING, &arg_config.authorization.webhook_version, "Authorization",
         "version", "version of the SubjectAccessReview that it gets, v1 or v1beta1"},
        {"authorization-webhook-cache-authorized-ttl", 0, OPTION_DURATION,
         &arg_config.authorization.webhook_authorized_ttl_ns, "Authorization", "duration", "how long its yes is kept"},
        {"authorization-webhook-cache-unauthorized-ttl", 0, OPTION_DURATION,
         &arg_config.authorization.webhook_unauthorized_ttl_ns, "Authorization", "duration", "how long its no is kept"},

        {"enable-admission-plugins", 0, OPTION_STRINGS, &arg_config.enabled_admission, "Admission", "names",
         "admission plug-ins to run besides the default ones"},
        {"disable-admission-plugins", 0, OPTION_STRINGS, &arg_config.disabled_admission, "Admission", "names",
         "admission plug-ins not to run"},
        {"admission-control-config-file", 0, OPTION_STRING, &arg_config.admission_config_file, "Admission", "file",
         "configuration of admission plug-ins (an AdmissionConfiguration)"},
        {"default-not-ready-toleration-seconds", 0, OPTION_INT, &arg_config.default_not_ready_toleration_seconds,
         "Admission", "seconds", "how long a pod stays on a node that is not ready"},
        {"default-unreachable-toleration-seconds", 0, OPTION_INT, &arg_config.default_unreachable_toleration_seconds,
         "Admission", "seconds", "how long a pod stays on a node that is unreachable"},

        {"audit-policy-file", 0, OPTION_STRING, &arg_config.audit.policy_file, "Audit", "file",
         "which requests are audited and how much of them (an audit.k8s.io/v1 Policy)"},
        {"audit-log-path", 0, OPTION_STRING, &arg_config.audit.log_path, "Audit", "file",
         "where audit events are appended as lines of JSON; - is standard output"},
        {"audit-log-maxage", 0, OPTION_INT, &arg_config.audit.log_max_age_days, "Audit", "days",
         "how long old audit logs are kept; 0 for ever"},
        {"audit-log-maxbackup", 0, OPTION_INT, &arg_config.audit.log_max_backups, "Audit", "number",
         "how many old audit logs are kept; 0 for all"},
        {"audit-log-maxsize", 0, OPTION_INT, &arg_config.audit.log_max_size_mb, "Audit", "megabytes",
         "size at which the audit log is renamed and begun anew"},
        {"audit-webhook-config-file", 0, OPTION_STRING, &arg_config.audit.webhook_config_file, "Audit", "file",
         "kubeconfig of a server that audit events are sent to"},
        {"audit-webhook-batch-max-size", 0, OPTION_INT, &arg_config.audit.webhook_batch_max_size, "Audit", "number",
         "events sent at once"},
        {"audit-webhook-batch-max-wait", 0, OPTION_DURATION, &arg_config.audit.webhook_batch_max_wait_ns, "Audit",
         "duration", "how long the first event of a batch waits for others"},
        {"audit-webhook-batch-buffer-size", 0, OPTION_INT, &arg_config.audit.webhook_batch_buffer_size, "Audit",
         "number", "events kept while they can't be sent"},
        {"audit-webhook-initial-backoff", 0, OPTION_DURATION, &arg_config.audit.webhook_initial_backoff_ns, "Audit",
         "duration", "pause before the first repetition"},

        {"allow-privileged", 0, OPTION_BOOL, &arg_config.allow_privileged, "Cluster", "",
         "allow privileged containers"},
        {"service-cluster-ip-range", 0, OPTION_STRING, &arg_service_cluster_ip_range, "Cluster", "CIDRs",
         "range of the Services' addresses; two, of different families, for dual stack"},
        {"service-node-port-range", 0, OPTION_STRING, &arg_service_node_port_range, "Cluster", "first-last",
         "range of node ports"},
        {"event-ttl", 0, OPTION_DURATION, &arg_config.event_ttl_ns, "Cluster", "duration", "how long events are kept"},
        {"kubelet-client-certificate", 0, OPTION_STRING, &arg_config.kubelet_certificate_file, "Kubelets", "file",
         "client certificate for kubelets"},
        {"kubelet-client-key", 0, OPTION_STRING, &arg_config.kubelet_private_key_file, "Kubelets", "file",
         "key of the client certificate for kubelets"},
        {"kubelet-certificate-authority", 0, OPTION_STRING, &arg_config.kubelet_ca_file, "Kubelets", "file",
         "certificate authority of kubelets; without it their certificates are not checked"},
        {"kubelet-preferred-address-types", 0, OPTION_STRINGS, &arg_config.kubelet_address_types, "Kubelets", "types",
         "which of a node's addresses to use, the best first"},
        {"kubelet-timeout", 0, OPTION_DURATION, &arg_config.kubelet_timeout_ns, "Kubelets", "duration",
         "how long connecting to a kubelet may take"},

        IGNORED("apiserver-count", "Compatibility", "number"),
        IGNORED("audit-log-format", "Compatibility", "format"),
        IGNORED("cert-dir", "Compatibility", "path"),
        IGNORED("contention-profiling", "Compatibility", ""),
        IGNORED("cors-allowed-origins", "Compatibility", "patterns"),
        IGNORED("default-watch-cache-size", "Compatibility", "number"),
        IGNORED("delete-collection-workers", "Compatibility", "number"),
        IGNORED("egress-selector-config-file", "Compatibility", "file"),
        IGNORED("enable-garbage-collector", "Compatibility", ""),
        IGNORED("endpoint-reconciler-type", "Compatibility", "type"),
        IGNORED("etcd-count-metric-poll-period", "Compatibility", "duration"),
        IGNORED("etcd-db-metric-poll-interval", "Compatibility", "duration"),
        IGNORED("etcd-healthcheck-timeout", "Compatibility", "duration"),
        IGNORED("etcd-readycheck-timeout", "Compatibility", "duration"),
        IGNORED("etcd-servers-overrides", "Compatibility", "list"),
        IGNORED("external-hostname", "Compatibility", "name"),
        IGNORED("goaway-chance", "Compatibility", "number"),
        IGNORED("http2-max-streams-per-connection", "Compatibility", "number"),
        IGNORED("lease-reuse-duration-seconds", "Compatibility", "seconds"),
        IGNORED("livez-grace-period", "Compatibility", "duration"),
        IGNORED("max-connection-bytes-per-sec", "Compatibility", "number"),
        IGNORED("peer-advertise-ip", "Compatibility", "address"),
        IGNORED("peer-advertise-port", "Compatibility", "port"),
        IGNORED("peer-ca-file", "Compatibility", "file"),
        IGNORED("permit-address-sharing", "Compatibility", ""),
        IGNORED("permit-port-sharing", "Compatibility", ""),
        IGNORED("profiling", "Compatibility", ""),
        IGNORED("request-timeout", "Compatibility", "duration"),
        IGNORED("show-hidden-metrics-for-version", "Compatibility", "version"),
        IGNORED("shutdown-delay-duration", "Compatibility", "duration"),
        IGNORED("shutdown-send-retry-after", "Compatibility", ""),
        IGNORED("shutdown-watch-termination-grace-period", "Compatibility", "duration"),
        IGNORED("storage-backend", "Compatibility", "name"),
        IGNORED("storage-media-type", "Compatibility", "type"),
        IGNORED("tracing-config-file", "Compatibility", "file"),
        IGNORED("watch-cache", "Compatibility", ""),
        IGNORED("watch-cache-sizes", "Compatibility", "list"),

        LOGGING_OPTION_ROWS(arg_logging),
        {"help", 'h', OPTION_BOOL, &arg_help, "Global", "", "print this help and exit"},
        {"version", 0, OPTION_BOOL, &arg_version, "Global", "", "print the version and exit"},
        {0},
};

struct program {
	struct server server;
	struct loop *loop;
	struct loop_signal sigterm;
	struct loop_signal sigint;
};

// --- checking what the flags say ---------------------------------------------------------------

static int check_required(struct err *err)
{
	if (!arg_config.etcd_servers.count)
		return err_set(err, ERR_BAD_REQUEST, "--etcd-servers must be specified");
	if (!arg_config.certificate_file[0] || !arg_config.private_key_file[0])
		return err_set(err, ERR_BAD_REQUEST, "--tls-cert-file and --tls-private-key-file must be specified");
	if (arg_config.secure_port < 0 || arg_config.secure_port > 65535)
		return err_set(err, ERR_BAD_REQUEST, "--secure-port %lld must be between 0 and 65535",
		               (long long)arg_config.secure_port);
	if (arg_config.etcd_prefix[0] != '/')
		return err_set(err, ERR_BAD_REQUEST, "--etcd-prefix \"%s\" must begin with a slash",
		               arg_config.etcd_prefix);
	if (arg_min_request_timeout_seconds <= 0 || arg_min_request_timeout_seconds > 86400)
		return err_set(err, ERR_BAD_REQUEST, "--min-request-timeout must be between 1 and 86400");
	arg_config.min_request_timeout_ns = arg_min_request_timeout_seconds * NSEC_PER_SEC;
	return 0;
}

static int parse_service_ranges(struct err *err)
{
	char text[256];
	char *save = NULL;

	if (strlen(arg_service_cluster_ip_range) >= sizeof(text))
		return err_set(err, ERR_BAD_REQUEST, "--service-cluster-ip-range is too long");
	snprintf(text, sizeof(text), "%s", arg_service_cluster_ip_range);
	for (char *item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		if (arg_config.service_range_count == 2)
			return err_set(err, ERR_BAD_REQUEST,
			               "--service-cluster-ip-range must not hold more than two ranges");
		if (ip_range_parse(item, &arg_config.service_ranges[arg_config.service_range_count++], err) < 0)
			return err_wrap(err, "--service-cluster-ip-range");
	}
	if (!arg_config.service_range_count)
		return err_set(err, ERR_BAD_REQUEST, "--service-cluster-ip-range must not be empty");
	if (ip_range_usable(&arg_config.service_ranges[0]) < 8)
		return err_set(err, ERR_BAD_REQUEST, "--service-cluster-ip-range must contain at least 8 addresses");
	if (arg_config.service_range_count == 2 &&
	    arg_config.service_ranges[0].base.is_v6 == arg_config.service_ranges[1].base.is_v6)
		return err_set(err, ERR_BAD_REQUEST,
		               "--service-cluster-ip-range: the two ranges must be of different IP families");
	return 0;
}

static int parse_node_ports(struct err *err)
{
	int first, last, used = 0;

	if (sscanf(arg_service_node_port_range, "%d-%d%n", &first, &last, &used) != 2 ||
	    arg_service_node_port_range[used] || first < 1 || last > 65535 || first > last)
		return err_set(err, ERR_BAD_REQUEST,
		               "--service-node-port-range \"%s\" is not a range of ports (first-last)",
		               arg_service_node_port_range);
	arg_config.node_port_first = first;
	arg_config.node_port_count = last - first + 1;
	return 0;
}

static int parse_tls_version(struct err *err)
{
	if (!arg_tls_min_version[0])
		return 0;
	if (!strcmp(arg_tls_min_version, "VersionTLS13"))
		arg_config.tls_minimum_version = TLS1_3_VERSION;
	else if (!strcmp(arg_tls_min_version, "VersionTLS12"))
		arg_config.tls_minimum_version = TLS1_2_VERSION;
	else
		return err_set(err, ERR_BAD_REQUEST, "--tls-min-version \"%s\" must be VersionTLS12 or VersionTLS13",
		               arg_tls_min_version);
	return 0;
}

static int check_names(const struct string_list *list, const char *const *known, const char *flag, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		size_t j = 0;

		while (known[j] && strcmp(known[j], list->items[i]))
			j++;
		if (!known[j])
			return err_set(err, ERR_BAD_REQUEST, "%s: \"%.100s\" is not a valid value", flag,
			               list->items[i]);
	}
	return 0;
}

static int check_modes(struct err *err)
{
	static const char *const modes[] = {"AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node", NULL};
	int r = check_names(&arg_config.authorization.modes, modes, "--authorization-mode", err);

	if (r == 0)
		r = security_flags_apply(&arg_security, &arg_config, err);

	if (r == 0)
		r = admission_check_flags(&arg_config.enabled_admission, &arg_config.disabled_admission, err);
	if (r == 0)
		r = enabled_new(&arg_runtime_config, &arg_feature_gates, &arg_config.enabled, err);
	return r;
}

// The first address of an interface that is up and isn't the loopback.
static bool find_host_address(bool want_v6, char *out, size_t size)
{
	struct ifaddrs *interfaces;
	bool found = false;

	if (getifaddrs(&interfaces) < 0)
		return false;
	for (struct ifaddrs *at = interfaces; at && !found; at = at->ifa_next) {
		int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;

		if (family != (want_v6 ? AF_INET6 : AF_INET) || !(at->ifa_flags & IFF_UP) ||
		    at->ifa_flags & IFF_LOOPBACK)
			continue;
		if (want_v6) {
			const struct sockaddr_in6 *address = (const void *)at->ifa_addr;

			found = !IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr) &&
			        inet_ntop(AF_INET6, &address->sin6_addr, out, (socklen_t)size);
		} else {
			const struct sockaddr_in *address = (const void *)at->ifa_addr;

			found = inet_ntop(AF_INET, &address->sin_addr, out, (socklen_t)size);
		}
	}
	freeifaddrs(interfaces);
	return found;
}

static int resolve_advertise_address(struct err *err)
{
	static char found[IP_TEXT_BYTES];
	struct ip ip;

	if (!ip_parse(arg_config.bind_address, &ip))
		return err_set(err, ERR_BAD_REQUEST, "--bind-address \"%s\" is not an IP address",
		               arg_config.bind_address);
	if (!arg_config.advertise_address[0]) {
		static const uint8_t unspecified[16];

		if (memcmp(ip.bytes, unspecified, sizeof(unspecified)))
			arg_config.advertise_address = arg_config.bind_address;
		else if (find_host_address(ip.is_v6, found, sizeof(found)))
			arg_config.advertise_address = found;
		else
			return err_set(err, ERR_BAD_REQUEST,
			               "no address of this host was found; give one with --advertise-address");
	}
	if (!ip_parse(arg_config.advertise_address, &ip))
		return err_set(err, ERR_BAD_REQUEST, "--advertise-address \"%s\" is not an IP address",
		               arg_config.advertise_address);
	return 0;
}

static int check_flags(struct err *err)
{
	static int (*const checks[])(struct err * err) = {
	        check_required,    parse_service_ranges, parse_node_ports,
	        parse_tls_version, check_modes,          resolve_advertise_address,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int r = checks[i](err);

		if (r < 0)
			return r;
	}
	return 0;
}

static void print_help(void)
{
	struct strbuf text = STRBUF_INIT(1 << 20);

	strbuf_append_text(&text,
	                   "The Kubernetes API server validates and stores the cluster's objects and serves the "
	                   "REST API through which everything else works.\n\nUsage:\n  kube-apiserver [flags]\n\n");
	options_help(options, &text);
	fputs(strbuf_text(&text), stdout);
	strbuf_done(&text);
}

// --- running -------------------------------------------------------------------------------------

static void on_stopped(void *context)
{
	struct program *program = context;

	loop_quit(program->loop, 0);
}

static void on_signal(struct loop_signal *source)
{
	struct program *program = source->signal_number == SIGTERM ? container_of(source, struct program, sigterm)
	                                                           : container_of(source, struct program, sigint);

	log_info("Stopping", kv_int("signal", source->signal_number));
	server_stop(&program->server, on_stopped, program);
}

static void log_start(const struct server *server)
{
	log_info("Serving securely", kv_str("version", CARAVEL_VERSION), kv_str("address", arg_config.bind_address),
	         kv_int("port", server->port), kv_str("advertiseAddress", arg_config.advertise_address));
}

static int run(struct program *program, struct err *err)
{
	int exit_code;

	if (loop_new(&clock_system, &program->loop, err) < 0)
		return 1;
	// Blocked before any thread starts, so that only this loop takes them.
	loop_signal_start(program->loop, &program->sigterm, SIGTERM, on_signal);
	loop_signal_start(program->loop, &program->sigint, SIGINT, on_signal);
	exit_code = 1;
	if (server_start(&program->server, &arg_config, program->loop, err) == 0) {
		log_start(&program->server);
		exit_code = loop_run(program->loop);
	}
	server_done(&program->server);
	loop_signal_stop(&program->sigterm);
	loop_signal_stop(&program->sigint);
	loop_free(program->loop);
	return exit_code;
}

int main(int argc, char **argv)
{
	struct program program = {0};
	struct err err = ERR_INIT;
	int positional, exit_code;

	signal(SIGPIPE, SIG_IGN);
	if (options_parse(options, argc, argv, false, &positional, &err) < 0 ||
	    (!arg_help && !arg_version && logging_options_apply(&arg_logging, &err) < 0)) {
		fprintf(stderr, "Error: %s\n", err.message);
		return 1;
	}
	if (arg_help) {
		print_help();
		return 0;
	}
	if (arg_version) {
		puts("Kubernetes " CARAVEL_VERSION);
		return 0;
	}
	options_log(options);
	if (check_flags(&err) < 0) {
		fprintf(stderr, "Error: %s\n", err.message);
		return 1;
	}
	exit_code = run(&program, &err);
	if (err.code)
		fprintf(stderr, "Error: %s\n", err.message);
	return exit_code;
}
