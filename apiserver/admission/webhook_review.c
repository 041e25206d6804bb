// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/webhook_review.h"

#include <string.h>

#include "apiserver/validation/validation.h"
#include "common/base/encode.h"

// --- what is sent -----------------------------------------------------------------------------

static void write_member(struct strbuf *out, const char *name, const struct json *value)
{
	strbuf_printf(out, ",\"%s\":", name);
	if (value)
		json_write(out, value);
	else
		strbuf_append_text(out, "null");
}

void webhook_review_write(const struct admission_view *view, const struct json *request, bool v1, struct strbuf *out)
{
	strbuf_printf(out, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/%s\",\"request\":{",
	              v1 ? "v1" : "v1beta1");
	for (uint32_t i = 0; i < request->length; i++) {
		strbuf_printf(out, "%s\"%s\":", i ? "," : "", request->members[i].key);
		json_write(out, request->members[i].value);
	}
	write_member(out, "object", view->object);
	write_member(out, "oldObject", view->old);
	strbuf_append_text(out, "}}");
}

// --- what comes back --------------------------------------------------------------------------

static int check_head(const struct json *review, const char *uid, bool v1, struct err *err)
{
	const char *version = text_of(review, "apiVersion"), *kind = text_of(review, "kind");
	const struct json *response = json_get(review, "response");
	const char *expected = v1 ? "admission.k8s.io/v1" : "admission.k8s.io/v1beta1";

	if (v1 ? strcmp(version, expected) || strcmp(kind, "AdmissionReview")
	       : (version[0] && strcmp(version, expected)) || (kind[0] && strcmp(kind, "AdmissionReview")))
		return err_set(err, ERR_INTERNAL,
		               "expected webhook response of %s, Kind=AdmissionReview, got %.40s, Kind=%.40s", expected,
		               version, kind);
	if (!is_present(response))
		return err_set(err, ERR_INTERNAL, "webhook response was absent");
	if (v1 && strcmp(text_of(response, "uid"), uid))
		return err_set(err, ERR_INTERNAL, "expected response.uid=\"%s\", got \"%.40s\"", uid,
		               text_of(response, "uid"));
	return 0;
}

static int check_patch_form(const struct json *response, bool v1, bool mutating, struct err *err)
{
	const char *patch = text_of(response, "patch"), *type = json_get_text(response, "patchType");

	if (!mutating && v1 && patch[0])
		return err_set(err, ERR_INTERNAL, "validating webhook may not return response.patch");
	if (!mutating && v1 && type)
		return err_set(err, ERR_INTERNAL, "validating webhook may not return response.patchType");
	if (mutating && v1 && patch[0] && !type)
		return err_set(err, ERR_INTERNAL, "webhook returned response.patch but not response.patchType");
	if (mutating && v1 && !patch[0] && type)
		return err_set(err, ERR_INTERNAL, "webhook returned response.patchType but not response.patch");
	if (mutating && v1 && type && strcmp(type, "JSONPatch"))
		return err_set(err, ERR_INTERNAL, "unsupported patch type \"%.40s\"", type);
	return 0;
}

static int read_patch(struct arena *arena, const struct json *response, const struct json **ret_patch, struct err *err)
{
	const char *text = text_of(response, "patch");
	struct json *patch = NULL;
	uint8_t *data = NULL;
	size_t length = 0;

	*ret_patch = NULL;
	if (!text[0])
		return 0;
	if (!base64_decode(arena, text, strlen(text), &data, &length))
		return err_set(err, ERR_INTERNAL, "response.patch is not in base64");
	if (json_parse(arena, (const char *)data, length, NULL, &patch, err) < 0)
		return -(int)err->code;
	if (!json_is(patch, JSON_ARRAY))
		return err_set(err, ERR_INTERNAL, "response.patch is not a JSON patch");
	*ret_patch = length_of(patch) ? patch : NULL;
	return 0;
}

// The webhook's own Status, never below 400 and never without a word.
static const struct status *refusal_of(struct arena *arena, const char *webhook, const struct json *result)
{
	struct status *status = ARENA_NEW(arena, struct status);
	const char *message = text_of(result, "message"), *reason = text_of(result, "reason");
	const char *head = arena_printf(arena, "admission webhook \"%s\" denied the request", webhook);
	const struct json *details = json_get(result, "details");

	status->code = (int)integer_of(result, "code", 0);
	if (status->code < 400 || status->code > 599)
		status->code = 400;
	status->reason = reason;
	status->message = message[0]  ? arena_printf(arena, "%s: %s", head, message)
	                  : reason[0] ? arena_printf(arena, "%s: %s", head, reason)
	                              : arena_printf(arena, "%s without explanation", head);
	status->name = json_get_text(details, "name");
	status->group = json_get_text(details, "group");
	status->kind = json_get_text(details, "kind");
	status->uid = json_get_text(details, "uid");
	status->retry_after_seconds = (int)integer_of(details, "retryAfterSeconds", 0);
	status->causes = ARENA_ARRAY(arena, struct status_cause, length_of(json_get(details, "causes")) + 1);
	json_for_each_item (cause, json_get(details, "causes"))
		status->causes[status->cause_count++] = (struct status_cause){
		        text_of(cause, "reason"), text_of(cause, "message"), text_of(cause, "field")};
	return status;
}

int webhook_answer_read(struct arena *arena, const char *webhook, const char *text, size_t length, const char *uid,
                        bool v1, bool mutating, struct webhook_answer *ret_answer, struct err *err)
{
	struct json *review = NULL;
	const struct json *response, *patch = NULL;
	int r = json_parse(arena, text, length, NULL, &review, err);

	if (r == 0)
		r = check_head(review, uid, v1, err);
	response = r == 0 ? json_get(review, "response") : NULL;
	if (r == 0)
		r = check_patch_form(response, v1, mutating, err);
	if (r == 0 && mutating)
		r = read_patch(arena, response, &patch, err);
	if (r < 0)
		return r;
	*ret_answer = (struct webhook_answer){
	        .allowed = json_get_bool(response, "allowed", false),
	        .patch = patch,
	        .warnings = json_get(response, "warnings"),
	        .audit_annotations = json_get(response, "auditAnnotations"),
	};
	if (!ret_answer->allowed)
		ret_answer->refusal = refusal_of(arena, webhook, json_get(response, "status"));
	return 0;
}
