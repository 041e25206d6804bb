// SPDX-License-Identifier: Apache-2.0
#pragma once
// The roles and bindings of rbac.policy brought into storage once at every start:
// missing objects are made, objects that allow updates get what they lack, and
// nothing is taken away.

struct policy_reconcile;
struct server;

// Runs on the main loop; sets server->policy_reconciled when all is done.
struct policy_reconcile *policy_reconcile_start(struct server *server);
struct policy_reconcile *policy_reconcile_free(struct policy_reconcile *reconcile);

// What the stored object lacks of the wanted one is added to it; true when that changed something. Pure.
struct arena;
struct json;
_Bool policy_reconcile_object(struct arena *arena, struct json *stored, const struct json *wanted);
// A binding to another role: it can't be changed, only made anew.
_Bool policy_reconcile_must_replace(const struct json *stored, const struct json *wanted);
