// SPDX-License-Identifier: Apache-2.0
// Annotations of pods that mean something: mirror pods, deletion costs, and the
// profiles of old, which may not contradict the fields that took their place.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

#define MIRROR "kubernetes.io/config.mirror"
#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

// A 32-bit number without a plus sign or leading zeros.
static bool is_deletion_cost(const char *text)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	long long value;

	if (!digits[0] || digits[strspn(digits, "0123456789")] || strlen(digits) > 10 ||
	    (digits[0] == '0' && (digits[1] || digits != text)))
		return false;
	value = strtoll(text, NULL, 10);
	return value >= INT32_MIN && value <= INT32_MAX;
}

static bool is_seccomp_profile(const char *text)
{
	static const char *const known[] = {"runtime/default", "docker/default", "unconfined", NULL};

	return is_one_of(text, known) || has_prefix(text, "localhost/");
}

static bool is_apparmor_profile(const char *text)
{
	static const char *const known[] = {"", "runtime/default", "unconfined", NULL};

	return is_one_of(text, known) || has_prefix(text, "localhost/");
}

static bool has_container(const struct json *spec, const char *name)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(spec, lists[i]))
			if (text_is(container, "name", name))
				return true;
	return false;
}

static void validate_annotation(struct validation *v, const char *key, const char *value, const struct json *spec,
                                const struct rule_path *path)
{
	if (!strcmp(key, MIRROR) && !text_of(spec, "nodeName")[0])
		validation_invalid_text(v, path, value, "must set spec.nodeName if mirror pod annotation is set");
	if (!strcmp(key, DELETION_COST) && !is_deletion_cost(value))
		validation_invalid_text(v, path, value, "must be a 32bit integer");
	if ((!strcmp(key, SECCOMP_POD) || has_prefix(key, SECCOMP_CONTAINER)) && !is_seccomp_profile(value))
		validation_invalid_text(v, path, value, "must be a valid seccomp profile");
	if (!has_prefix(key, APPARMOR))
		return;
	if (!has_container(spec, key + strlen(APPARMOR)))
		validation_invalid_text(v, path, key + strlen(APPARMOR), "container not found");
	if (!is_apparmor_profile(value))
		validation_invalid_text(v, path, value,
		                        arena_printf(v->arena, "invalid AppArmor profile name: \"%s\"", value));
}

void validate_pod_annotations(struct validation *v, const struct json *annotations, const struct json *spec,
                              const struct rule_path *path)
{
	json_for_each_member (annotation, annotations) {
		struct rule_path entry = FIELD_KEY(path, annotation->key);

		if (json_text(annotation->value))
			validate_annotation(v, annotation->key, json_text(annotation->value), spec, &entry);
	}
}

// --- updates -----------------------------------------------------------------------------------------

static void refuse_change(struct validation *v, const char *key, const char *how, const struct rule_path *path)
{
	struct rule_path entry = FIELD_KEY(path, key);

	if (has_prefix(key, APPARMOR))
		validation_forbidden(v, &entry, arena_printf(v->arena, "may not %s AppArmor annotations", how));
	if (!strcmp(key, MIRROR))
		validation_forbidden(v, &entry, arena_printf(v->arena, "may not %s mirror pod annotation", how));
}

void validate_pod_annotation_update(struct validation *v)
{
	const struct json *now = json_path(v->change->object, "metadata", "annotations");
	const struct json *old = json_path(v->change->old, "metadata", "annotations");
	struct rule_path metadata = FIELD(NULL, "metadata"), path = FIELD(&metadata, "annotations");

	json_for_each_member (annotation, old) {
		const struct json *kept = json_get(now, annotation->key);

		if (!kept || !json_equal(kept, annotation->value))
			refuse_change(v, annotation->key, "remove or update", &path);
	}
	json_for_each_member (annotation, now)
		if (!json_get(old, annotation->key))
			refuse_change(v, annotation->key, "add", &path);
	validate_pod_annotations(v, now, json_get(v->change->object, "spec"), &path);
}

// --- profiles in both places -------------------------------------------------------------------------

static void compare_profile(struct validation *v, const char *annotation, const struct json *profile, const char *what,
                            const struct rule_path *path)
{
	struct rule_path type = FIELD(path, "type"), local = FIELD(path, "localhostProfile");
	bool same;

	if (!annotation || !is_present(profile))
		return;
	if (text_is(profile, "type", "Localhost")) {
		if (has_prefix(annotation, "localhost/")) {
			if (!text_is(profile, "localhostProfile", annotation + strlen("localhost/")))
				validation_forbidden(
				        v, &local,
				        arena_printf(v->arena, "%s profile in annotation and field must match", what));
			return;
		}
		same = false;
	} else if (text_is(profile, "type", "Unconfined")) {
		same = !strcmp(annotation, "unconfined");
	} else {
		same = !strcmp(annotation, "runtime/default") ||
		       (!strcmp(what, "seccomp") && !strcmp(annotation, "docker/default"));
	}
	if (!same)
		validation_forbidden(v, &type,
		                     arena_printf(v->arena, "%s type in annotation and field must match", what));
}

void validate_pod_profiles(struct validation *v)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	const struct json *spec = json_get(v->change->object, "spec"), *context = json_get(spec, "securityContext");
	const struct json *annotations = json_path(v->change->object, "metadata", "annotations");
	struct rule_path root = FIELD(NULL, "spec"), own = FIELD(&root, "securityContext"),
	                 pod_seccomp = FIELD(&own, "seccompProfile");

	if (!length_of(annotations) || text_is(json_get(spec, "os"), "name", "windows"))
		return;
	compare_profile(v, json_get_text(annotations, SECCOMP_POD), json_get(context, "seccompProfile"), "seccomp",
	                &pod_seccomp);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(&root, lists[i]);

		rule_for_each_item (container, entry, json_get(spec, lists[i]), &list) {
			const struct json *inner = json_get(container, "securityContext");
			const struct json *armor = json_get(inner, "appArmorProfile");
			const char *name = text_of(container, "name");
			struct rule_path inner_path = FIELD(&entry, "securityContext"),
			                 armor_path = FIELD(&inner_path, "appArmorProfile"),
			                 seccomp_path = FIELD(&inner_path, "seccompProfile");

			compare_profile(v, json_get_text(annotations, arena_printf(v->arena, APPARMOR "%s", name)),
			                is_present(armor) ? armor : json_get(context, "appArmorProfile"), "apparmor",
			                &armor_path);
			compare_profile(
			        v, json_get_text(annotations, arena_printf(v->arena, SECCOMP_CONTAINER "%s", name)),
			        json_get(inner, "seccompProfile"), "seccomp", &seccomp_path);
		}
	}
}
