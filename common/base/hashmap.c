// SPDX-License-Identifier: Apache-2.0
//
// Open addressing with linear probing over a power-of-two table of {hash, entry};
// the entry holds the key's copy. A removed entry leaves a tombstone unless the
// next slot is empty, so nothing moves while a cursor walks. The table is rebuilt,
// sized by the live entries, when live and dead fill three quarters of it. Hashes
// are SipHash-1-3 under a key drawn once per process.
#include "common/base/hashmap.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"

enum { HASHMAP_FIRST_SLOTS = 16 };

struct hashmap_entry {
	void *value;
	size_t key_length;
	char key[];
};

struct hashmap_slot {
	uint64_t hash;
	struct hashmap_entry *entry; // NULL = empty
};

struct hashmap {
	void (*free_value)(void *value);
	struct hashmap_slot *slots; // NULL until the first put
	size_t slot_count;
	size_t live_count;
	size_t dead_count;
};

static struct hashmap_entry tombstone;
static uint64_t hash_key[2];

static void draw_hash_key(void)
{
	random_bytes(hash_key, sizeof(hash_key));
}

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const char *key, size_t length)
{
	uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
	                 hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
	uint64_t word, last = (uint64_t)length << 56;
	for (; length >= 8; key += 8, length -= 8) {
		memcpy(&word, key, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	if (length)
		memcpy(&word, key, length);
	last |= word;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct hashmap *hashmap_new(void (*free_value)(void *value))
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, draw_hash_key);
	struct hashmap *map = NEW(struct hashmap);
	map->free_value = free_value;
	return map;
}

struct hashmap *hashmap_free(struct hashmap *map)
{
	if (!map)
		return NULL;
	hashmap_clear(map);
	free(map);
	return NULL;
}

size_t hashmap_count(const struct hashmap *map)
{
	return map->live_count;
}

static bool is_live(const struct hashmap_slot *slot)
{
	return slot->entry && slot->entry != &tombstone;
}

static struct hashmap_slot *find_slot(const struct hashmap *map, const char *key, size_t length)
{
	if (!map->live_count)
		return NULL;
	uint64_t hash = hash_of(key, length);
	for (size_t i = hash & (map->slot_count - 1);; i = (i + 1) & (map->slot_count - 1)) {
		struct hashmap_slot *slot = &map->slots[i];
		if (!slot->entry)
			return NULL;
		if (slot->entry != &tombstone && slot->hash == hash && slot->entry->key_length == length &&
		    memcmp(slot->entry->key, key, length) == 0)
			return slot;
	}
}

void *hashmap_get_n(const struct hashmap *map, const char *key, size_t key_length)
{
	struct hashmap_slot *slot = find_slot(map, key, key_length);
	return slot ? slot->entry->value : NULL;
}

void *hashmap_get(const struct hashmap *map, const char *key)
{
	return hashmap_get_n(map, key, strlen(key));
}

// The first slot of the key's probe sequence that may take a new entry.
static struct hashmap_slot *free_slot(const struct hashmap *map, uint64_t hash)
{
	size_t i = hash & (map->slot_count - 1);
	while (is_live(&map->slots[i]))
		i = (i + 1) & (map->slot_count - 1);
	return &map->slots[i];
}

static void make_room(struct hashmap *map)
{
	if ((map->live_count + map->dead_count + 1) * 4 <= map->slot_count * 3)
		return;
	struct hashmap old = *map;
	size_t slot_count = HASHMAP_FIRST_SLOTS;
	while (slot_count < (map->live_count + 1) * 2)
		slot_count *= 2;
	map->slots = xcalloc(slot_count, sizeof(*map->slots));
	map->slot_count = slot_count;
	map->dead_count = 0;
	for (size_t i = 0; i < old.slot_count; i++)
		if (is_live(&old.slots[i]))
			*free_slot(map, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

bool hashmap_put(struct hashmap *map, const char *key, void *value)
{
	assert(value);
	size_t length = strlen(key);
	struct hashmap_slot *slot = find_slot(map, key, length);
	if (slot) {
		void *old = slot->entry->value;
		slot->entry->value = value;
		if (map->free_value && old != value)
			map->free_value(old);
		return false;
	}
	make_room(map);
	struct hashmap_entry *entry = xmalloc(sizeof(*entry) + length + 1);
	entry->value = value;
	entry->key_length = length;
	memcpy(entry->key, key, length + 1);
	uint64_t hash = hash_of(key, length);
	slot = free_slot(map, hash);
	if (slot->entry == &tombstone)
		map->dead_count--;
	*slot = (struct hashmap_slot){.hash = hash, .entry = entry};
	map->live_count++;
	return true;
}

static void empty_slot(struct hashmap *map, struct hashmap_slot *slot)
{
	size_t next = ((size_t)(slot - map->slots) + 1) & (map->slot_count - 1);
	bool chained = map->slots[next].entry != NULL;
	slot->entry = chained ? &tombstone : NULL;
	map->dead_count += chained;
	map->live_count--;
}

void *hashmap_take(struct hashmap *map, const char *key)
{
	struct hashmap_slot *slot = find_slot(map, key, strlen(key));
	if (!slot)
		return NULL;
	void *value = slot->entry->value;
	free(slot->entry);
	empty_slot(map, slot);
	return value;
}

bool hashmap_remove(struct hashmap *map, const char *key)
{
	void *value = hashmap_take(map, key);
	if (value && map->free_value)
		map->free_value(value);
	return value != NULL;
}

void hashmap_clear(struct hashmap *map)
{
	// Taken aside first: a destructor may look into the map again.
	struct hashmap old = *map;
	*map = (struct hashmap){.free_value = old.free_value};
	for (size_t i = 0; i < old.slot_count; i++) {
		if (!is_live(&old.slots[i]))
			continue;
		if (old.free_value)
			old.free_value(old.slots[i].entry->value);
		free(old.slots[i].entry);
	}
	free(old.slots);
}

bool hashmap_next(const struct hashmap *map, struct hashmap_cursor *cursor)
{
	while (cursor->position < map->slot_count) {
		const struct hashmap_slot *slot = &map->slots[cursor->position++];
		if (is_live(slot)) {
			cursor->key = slot->entry->key;
			cursor->value = slot->entry->value;
			return true;
		}
	}
	return false;
}

uint32_t fnv32a(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

uint64_t fnv64a(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	return hash;
}
