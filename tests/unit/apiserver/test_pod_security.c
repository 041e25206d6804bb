// SPDX-License-Identifier: Apache-2.0
// The controls of the Pod Security Standards, row by row, in upstream's words, and
// what the labels of a namespace ask for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above
#include <cmocka.h>
#include <string.h>

#include "apiserver/admission/pod_security.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;

	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &value, NULL), 0);
	return value;
}

struct row {
	enum pod_security_level level;
	int minor;
	const char *pod;     // {metadata, spec}
	const char *details; // "" = allowed
};

#define BASELINE POD_SECURITY_BASELINE, POD_SECURITY_LATEST
#define SPEC(members) "{\"spec\":{" members "}}"
#define CONTAINER(security) "\"containers\":[{\"name\":\"a\",\"securityContext\":" security "}]"
#define GOOD                                                                                               \
	"{\"allowPrivilegeEscalation\":false,\"runAsNonRoot\":true,\"capabilities\":{\"drop\":[\"ALL\"]}," \
	"\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}"

static const struct row rows[] = {
        {POD_SECURITY_PRIVILEGED, POD_SECURITY_LATEST, SPEC("\"hostNetwork\":true"), ""},
        {BASELINE, SPEC(CONTAINER("{}")), ""},
        {BASELINE, SPEC("\"hostPID\":true,\"hostIPC\":true"), "host namespaces (hostPID=true, hostIPC=true)"},
        {BASELINE,
         SPEC("\"containers\":[{\"name\":\"a\",\"ports\":[{\"hostPort\":90},{\"hostPort\":80}]},"
              "{\"name\":\"b\",\"ports\":[{\"hostPort\":80}]}]"),
         "hostPort (containers \"a\", \"b\" use hostPorts 80, 90)"},
        {BASELINE, SPEC("\"initContainers\":[{\"name\":\"i\",\"securityContext\":{\"privileged\":true}}]"),
         "privileged (container \"i\" must not set securityContext.privileged=true)"},
        {BASELINE, SPEC(CONTAINER("{\"capabilities\":{\"add\":[\"NET_RAW\",\"CHOWN\",\"BPF\"]}}")),
         "non-default capabilities (container \"a\" must not include \"BPF\", \"NET_RAW\" in "
         "securityContext.capabilities.add)"},
        {BASELINE, SPEC("\"volumes\":[{\"name\":\"x\",\"hostPath\":{}},{\"name\":\"y\",\"hostPath\":{}}]"),
         "hostPath volumes (volumes \"x\", \"y\")"},
        {BASELINE, SPEC(CONTAINER("{\"procMount\":\"Unmasked\"}")),
         "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")"},
        {BASELINE, SPEC("\"securityContext\":{\"seLinuxOptions\":{\"type\":\"foo\",\"user\":\"u\"}}"),
         "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"foo\"; user may not be set)"},
        {POD_SECURITY_BASELINE, 30, SPEC(CONTAINER("{\"seLinuxOptions\":{\"type\":\"container_engine_t\"}}")),
         "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type "
         "\"container_engine_t\")"},
        {POD_SECURITY_BASELINE, 31, SPEC(CONTAINER("{\"seLinuxOptions\":{\"type\":\"container_engine_t\"}}")), ""},
        {BASELINE,
         SPEC("\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}}," CONTAINER(
                 "{\"seccompProfile\":{\"type\":\"Unconfined\"}}")),
         "seccompProfile (pod and container \"a\" must not set securityContext.seccompProfile.type to "
         "\"Unconfined\")"},
        {POD_SECURITY_BASELINE, 18,
         "{\"metadata\":{\"annotations\":{\"seccomp.security.alpha.kubernetes.io/pod\":\"unconfined\"}},\"spec\":{}}",
         "seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")"},
        {POD_SECURITY_BASELINE, 26,
         SPEC("\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.ip_local_reserved_ports\"}]}"),
         "forbidden sysctls (net.ipv4.ip_local_reserved_ports)"},
        {POD_SECURITY_BASELINE, 27,
         SPEC("\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.ip_local_reserved_ports\"}]}"), ""},
        {BASELINE, SPEC("\"securityContext\":{\"windowsOptions\":{\"hostProcess\":true}}"),
         "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"},
        {BASELINE, SPEC("\"securityContext\":{\"appArmorProfile\":{\"type\":\"Unconfined\"}}"),
         "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\")"},
        {POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST, SPEC(CONTAINER(GOOD)), ""},
        {POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST,
         SPEC("\"volumes\":[{\"name\":\"h\",\"hostPath\":{\"path\":\"/\"}},{\"name\":\"c\",\"configMap\":{}},"
              "{\"name\":\"n\",\"nfs\":{}}]," CONTAINER(GOOD)),
         "restricted volume types (volumes \"h\", \"n\" use restricted volume types \"hostPath\", \"nfs\")"},
        {POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST, SPEC("\"securityContext\":{\"runAsUser\":0}," CONTAINER(GOOD)),
         "runAsUser=0 (pod must not set runAsUser=0)"},
        {POD_SECURITY_RESTRICTED, 22, SPEC("\"securityContext\":{\"runAsUser\":0}," CONTAINER(GOOD)), ""},
        {POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST,
         SPEC("\"os\":{\"name\":\"windows\"}," CONTAINER("{\"runAsNonRoot\":true}")), ""},
        {POD_SECURITY_RESTRICTED, 24,
         SPEC("\"os\":{\"name\":\"windows\"}," CONTAINER("{\"runAsNonRoot\":true,\"capabilities\":{\"drop\":[\"ALL\"]},"
                                                         "\"seccompProfile\":{\"type\":\"Localhost\"}}")),
         "allowPrivilegeEscalation != false (container \"a\" must set "
         "securityContext.allowPrivilegeEscalation=false)"},
        {POD_SECURITY_RESTRICTED, POD_SECURITY_LATEST,
         SPEC(CONTAINER(
                 "{\"allowPrivilegeEscalation\":false,\"runAsNonRoot\":false,\"capabilities\":{\"drop\":[\"ALL\"],"
                 "\"add\":[\"NET_BIND_SERVICE\",\"CHOWN\"]},\"seccompProfile\":{\"type\":\"Localhost\"}}")),
         "unrestricted capabilities (container \"a\" must not include \"CHOWN\" in "
         "securityContext.capabilities.add), runAsNonRoot != true (container \"a\" must not set "
         "securityContext.runAsNonRoot=false)"},
};

static void test_controls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct json *pod = parse(arena, rows[i].pod);
		struct pod_security_findings findings;

		pod_security_check(arena, rows[i].level, rows[i].minor, json_get(pod, "metadata"),
		                   json_get(pod, "spec"), &findings);
		assert_string_equal(pod_security_details(arena, &findings), rows[i].details);
	}
}

static void assert_mode(const struct pod_security_policy *policy, enum pod_security_mode mode, const char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);

	assert_string_equal(pod_security_standard_text(arena, &policy->modes[mode]), text);
}

static void test_labels(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct pod_security_settings *settings;
	struct pod_security_label_errors errors;
	struct pod_security_policy policy;

	(void)state;
	assert_int_equal(pod_security_configure(arena, NULL, &settings, NULL), 0);
	pod_security_read_labels(NULL, &settings->defaults, &policy, &errors);
	assert_mode(&policy, POD_SECURITY_ENFORCE, "privileged:latest");
	pod_security_read_labels(parse(arena, "{\"pod-security.kubernetes.io/enforce\":\"baseline\","
	                                      "\"pod-security.kubernetes.io/enforce-version\":\"v1.30\"}"),
	                         &settings->defaults, &policy, &errors);
	assert_int_equal(errors.count, 0);
	assert_mode(&policy, POD_SECURITY_ENFORCE, "baseline:v1.30");
	assert_mode(&policy, POD_SECURITY_WARN, "baseline:v1.30");
	assert_mode(&policy, POD_SECURITY_AUDIT, "privileged:latest");
	pod_security_read_labels(parse(arena, "{\"pod-security.kubernetes.io/enforce\":\"hard\","
	                                      "\"pod-security.kubernetes.io/warn-version\":\"v1.030\","
	                                      "\"pod-security.kubernetes.io/audit\":\"x\"}"),
	                         &settings->defaults, &policy, &errors);
	assert_int_equal(errors.count, 3);
	assert_mode(&policy, POD_SECURITY_ENFORCE, "restricted:latest");
	assert_mode(&policy, POD_SECURITY_AUDIT, "privileged:latest");
	assert_mode(&policy, POD_SECURITY_WARN, "privileged:latest");
}

static void test_configuration(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct pod_security_settings *settings;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(pod_security_configure(arena,
	                                        parse(arena, "{\"defaults\":{\"enforce\":\"baseline\",\"warn\":"
	                                                     "\"restricted\",\"warn-version\":\"v1.33\"}}"),
	                                        &settings, &err),
	                 0);
	assert_mode(&settings->defaults, POD_SECURITY_ENFORCE, "baseline:latest");
	assert_mode(&settings->defaults, POD_SECURITY_WARN, "restricted:v1.33");
	assert_true(pod_security_configure(arena, parse(arena, "{\"defaults\":{\"audit\":\"loud\"}}"), &settings,
	                                   &err) < 0);
	assert_non_null(strstr(err.message, "must be one of privileged, baseline, restricted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_controls),
	        cmocka_unit_test(test_labels),
	        cmocka_unit_test(test_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
