// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the files of the custom resources' thread share.

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/custom/conversion_call.h"
#include "apiserver/custom/custom.h"
#include "apiserver/custom/definition.h"
#include "apiserver/storage/follow.h"
#include "apiserver/storage/storage.h"
#include "common/base/hashmap.h"
#include "common/io/loop.h"

// One CustomResourceDefinition as the thread knows it.
struct definition_entry {
	struct custom *custom;
	char *name;
	struct stored_object *object; // as storage has it now
	struct arena *names_arena;
	const struct json *names;      // status.acceptedNames, NULL = none
	bool conflicted;               // waits for names that others have
	struct definition *definition; // as it is served, NULL = not (yet)
	bool writing;                  // our own write is under way
	bool stale;                    // changed during it
	bool gone;                     // deleted during it
	bool confirmed_empty;          // etcd has no object of it any more
	struct loop_timer retry;       // of the cleaning, and of writes that failed
};

struct custom {
	struct server *server;
	struct loop *loop;
	pthread_t thread;
	struct loop_task start;
	struct loop_task quit;
	const struct schema_resource *definitions; // customresourcedefinitions
	const struct schema_resource **built_in;
	size_t built_in_count;
	atomic_bool ready;

	pthread_mutex_t lock; // for `served`
	struct served *served;

	// The thread's own.
	struct follow *follow;
	struct conversion_calls *webhooks; // NULL once it stops
	struct hashmap *entries;           // name → struct definition_entry
	bool changed;                      // the snapshot is to be made anew
	bool stopping;
};

// Looks at one definition again: serves it, writes its status, cleans up.
void custom_reconcile(struct definition_entry *entry);
// The snapshot, if something changed.
void custom_publish(struct custom *custom);

// Writes a changed definition, or removes it. One write at a time for an entry.
void custom_write(struct definition_entry *entry, const struct json *tree, bool removed);

// Deletes the objects of a definition that is being deleted, as many as one round may. True: none is left. False: it
// is to be called again; with *ret_waits it reconciles by itself.
bool custom_clean(struct definition_entry *entry, bool *ret_waits);
// A call for the entry has ended (set entry->writing before it): goes on, or frees it.
void custom_call_ended(struct definition_entry *entry);
// Reconciles after a moment.
void custom_retry_later(struct definition_entry *entry);
