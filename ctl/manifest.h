// SPDX-License-Identifier: Apache-2.0
#pragma once
// Objects from files: YAML or JSON, several documents in one, folders, standard
// input; Lists are taken apart.

#include "common/base/options.h"
#include "ctl/target.h"

struct ctl;

struct manifest_options {
	struct string_list filenames;
	const char *kustomize;
	bool recursive;
};

#define MANIFEST_OPTION_ROWS(manifest)                                                                              \
	{"filename", 'f', OPTION_STRINGS, &(manifest).filenames, NULL, "[]", "File, folder or - with the objects"}, \
	        {"kustomize",                                                                                       \
	         'k',                                                                                               \
	         OPTION_STRING,                                                                                     \
	         &(manifest).kustomize,                                                                             \
	         NULL,                                                                                              \
	         "",                                                                                                \
	         "Kustomization folder (not supported)"},                                                           \
	{                                                                                                           \
		"recursive", 'R', OPTION_BOOL, &(manifest).recursive, NULL, NULL,                                   \
		        "Read the folders of -f with their sub-folders"                                             \
	}

// Adds the objects to the list, each with its namespace filled in. Problems are reported and
// leave out what they concern; false when nothing could be read for them.
bool manifests_read(struct ctl *ctl, const struct manifest_options *options, bool validate, struct target_list *list);
