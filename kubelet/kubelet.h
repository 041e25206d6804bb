// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kubelet's parts share. Everything is borrowed by the parts and lives as
// long as the daemon; main.c makes and ends it.

#include <stdbool.h>
#include <stdint.h>

#include "kubelet/config.h"
#include "kubelet/network/cni.h"

struct loop;
struct rest_client;
struct event_recorder;
struct informer;
struct runtime;
struct object_cache;
struct pod_manager;
struct mirror;
struct node_agent;
struct work_pool;

struct kubelet {
	struct loop *loop;
	struct work_pool *pool; // for what may block: files, mounts
	const struct kubelet_config *config;
	const char *node_name;
	const char *node_ip;
	int64_t node_memory_bytes;
	struct rest_client *client;    // NULL: standalone, without an apiserver
	struct event_recorder *events; // NULL likewise
	struct informer *services;     // NULL likewise
	struct informer *api_pods;     // NULL likewise
	struct mirror *mirror;         // NULL likewise
	struct runtime *runtime;
	struct object_cache *objects;
	struct pod_manager *pods;
	struct node_agent *node; // NULL likewise
	struct cni_config cni;
};
