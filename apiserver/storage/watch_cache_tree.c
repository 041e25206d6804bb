// SPDX-License-Identifier: Apache-2.0
//
// Leaves hold references to objects, inner nodes to children; an inner node knows
// for each child its first object (borrowed from the leaf below) and every node
// the number of objects under it, so that ranges are counted without being walked.
//
// 1. A node with one reference belongs to the writer alone, if every node above
//    it does: it is changed in place. Otherwise its path is copied. Snapshots
//    reference roots only, so "one reference, from the root down" is exact.
// 2. All leaves have the same depth. Nodes split when full; after a removal a node
//    that became small is merged with a neighbour if both fit well into one.
#include "apiserver/storage/watch_cache_tree.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "apiserver/storage/storage_object.h"
#include "common/base/memory.h"

#define NODE_CAPACITY 32
#define NODE_SMALL (NODE_CAPACITY / 4)
#define NODE_MERGED_MAX (NODE_CAPACITY * 3 / 4)

struct tree_node {
	atomic_uint references;
	uint16_t count;
	bool is_leaf;
	size_t total;
	struct stored_object *objects[NODE_CAPACITY]; // of a leaf; of an inner node the first below each child
	struct tree_node *children[];                 // NODE_CAPACITY of them in an inner node
};

// --- order -----------------------------------------------------------------------

static int compare(const struct object_tree *tree, const char *value, const char *key,
                   const struct stored_object *object)
{
	if (tree->field >= 0) {
		int order = strcmp(value, object->fields[tree->field]);
		if (order)
			return order;
	}
	return strcmp(key, storage_object_key(object));
}

static const char *value_of(const struct object_tree *tree, const struct stored_object *object)
{
	return tree->field >= 0 ? object->fields[tree->field] : "";
}

// The first position whose object is not before (value, key).
static size_t lower_bound(const struct object_tree *tree, const struct tree_node *node, const char *value,
                          const char *key, bool *ret_equal)
{
	size_t low = 0, high = node->count;
	*ret_equal = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(tree, value, key, node->objects[middle]);
		if (order == 0) {
			*ret_equal = true;
			return middle;
		}
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// The child that holds, or would hold, (value, key).
static size_t child_index(const struct object_tree *tree, const struct tree_node *node, const char *value,
                          const char *key)
{
	bool equal;
	size_t position = lower_bound(tree, node, value, key, &equal);
	return equal || !position ? position : position - 1;
}

// --- nodes -----------------------------------------------------------------------

static struct tree_node *node_new(bool is_leaf)
{
	struct tree_node *node = xmalloc(sizeof(*node) + (is_leaf ? 0 : NODE_CAPACITY * sizeof(struct tree_node *)));
	atomic_init(&node->references, 1);
	node->count = 0;
	node->is_leaf = is_leaf;
	node->total = 0;
	return node;
}

static void node_unref(struct tree_node *node)
{
	if (!node || atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < node->count; i++) {
		if (node->is_leaf)
			stored_object_unref(node->objects[i]);
		else
			node_unref(node->children[i]);
	}
	free(node);
}

// Makes the node in the slot the writer's own.
static struct tree_node *own(struct tree_node **slot)
{
	struct tree_node *node = *slot;
	if (atomic_load_explicit(&node->references, memory_order_acquire) == 1)
		return node;
	struct tree_node *copy = node_new(node->is_leaf);
	copy->count = node->count;
	copy->total = node->total;
	memcpy(copy->objects, node->objects, node->count * sizeof(node->objects[0]));
	if (!node->is_leaf)
		memcpy(copy->children, node->children, node->count * sizeof(node->children[0]));
	for (size_t i = 0; i < node->count; i++) {
		if (node->is_leaf)
			stored_object_ref(node->objects[i]);
		else
			atomic_fetch_add_explicit(&node->children[i]->references, 1, memory_order_relaxed);
	}
	node_unref(node);
	*slot = copy;
	return copy;
}

static void insert_at(struct tree_node *node, size_t position, struct stored_object *object, struct tree_node *child)
{
	size_t after = node->count - position;
	memmove(&node->objects[position + 1], &node->objects[position], after * sizeof(node->objects[0]));
	node->objects[position] = object;
	if (!node->is_leaf) {
		memmove(&node->children[position + 1], &node->children[position], after * sizeof(node->children[0]));
		node->children[position] = child;
	}
	node->count++;
}

static void remove_at(struct tree_node *node, size_t position)
{
	size_t after = node->count - position - 1;
	memmove(&node->objects[position], &node->objects[position + 1], after * sizeof(node->objects[0]));
	if (!node->is_leaf)
		memmove(&node->children[position], &node->children[position + 1], after * sizeof(node->children[0]));
	node->count--;
}

static void recount(struct tree_node *node)
{
	if (node->is_leaf) {
		node->total = node->count;
		return;
	}
	node->total = 0;
	for (size_t i = 0; i < node->count; i++)
		node->total += node->children[i]->total;
}

// Moves the upper half of a full node to a new one.
static struct tree_node *split(struct tree_node *node)
{
	struct tree_node *right = node_new(node->is_leaf);
	size_t keep = node->count / 2;
	right->count = (uint16_t)(node->count - keep);
	memcpy(right->objects, &node->objects[keep], right->count * sizeof(node->objects[0]));
	if (!node->is_leaf)
		memcpy(right->children, &node->children[keep], right->count * sizeof(node->children[0]));
	node->count = (uint16_t)keep;
	recount(node);
	recount(right);
	return right;
}

// --- writing ---------------------------------------------------------------------

// Puts into the subtree in the slot; returns the new right neighbour after a split.
static struct tree_node *put(const struct object_tree *tree, struct tree_node **slot, struct stored_object *object,
                             bool *ret_new)
{
	struct tree_node *node = own(slot);
	const char *value = value_of(tree, object), *key = storage_object_key(object);
	if (node->is_leaf) {
		bool equal;
		size_t position = lower_bound(tree, node, value, key, &equal);
		*ret_new = !equal;
		stored_object_ref(object);
		if (equal) {
			stored_object_unref(node->objects[position]);
			node->objects[position] = object;
			return NULL;
		}
		insert_at(node, position, object, NULL);
	} else {
		size_t position = child_index(tree, node, value, key);
		struct tree_node *right = put(tree, &node->children[position], object, ret_new);
		node->objects[position] = node->children[position]->objects[0];
		if (right)
			insert_at(node, position + 1, right->objects[0], right);
	}
	node->total += *ret_new;
	return node->count == NODE_CAPACITY ? split(node) : NULL;
}

bool object_tree_put(struct object_tree *tree, struct stored_object *object)
{
	bool is_new = false;
	if (!tree->root)
		tree->root = node_new(true);
	struct tree_node *right = put(tree, &tree->root, object, &is_new);
	if (right) {
		struct tree_node *root = node_new(false);
		insert_at(root, 0, tree->root->objects[0], tree->root);
		insert_at(root, 1, right->objects[0], right);
		recount(root);
		tree->root = root;
	}
	return is_new;
}

// Joins the child at `position` with its right neighbour when both are small enough.
static void try_merge(struct tree_node *node, size_t position)
{
	if (position + 1 >= node->count ||
	    node->children[position]->count + node->children[position + 1]->count > NODE_MERGED_MAX)
		return;
	struct tree_node *left = own(&node->children[position]);
	struct tree_node *right = own(&node->children[position + 1]);
	memcpy(&left->objects[left->count], right->objects, right->count * sizeof(right->objects[0]));
	if (!left->is_leaf)
		memcpy(&left->children[left->count], right->children, right->count * sizeof(right->children[0]));
	left->count += right->count;
	left->total += right->total;
	right->count = 0; // its references have moved
	node_unref(right);
	remove_at(node, position + 1);
}

static void remove_from(const struct object_tree *tree, struct tree_node **slot, const char *value, const char *key)
{
	struct tree_node *node = own(slot);
	node->total--;
	if (node->is_leaf) {
		bool equal;
		size_t position = lower_bound(tree, node, value, key, &equal);
		assert(equal);
		stored_object_unref(node->objects[position]);
		remove_at(node, position);
		return;
	}
	size_t position = child_index(tree, node, value, key);
	remove_from(tree, &node->children[position], value, key);
	struct tree_node *child = node->children[position];
	if (!child->count) {
		node_unref(child);
		remove_at(node, position);
		return;
	}
	node->objects[position] = child->objects[0];
	if (child->count < NODE_SMALL) {
		try_merge(node, position);
		if (position)
			try_merge(node, position - 1);
	}
}

bool object_tree_remove(struct object_tree *tree, const struct stored_object *object)
{
	// The object may be freed on the way while the search still compares with its texts.
	struct stored_object *found = object_tree_find(tree, value_of(tree, object), storage_object_key(object));
	if (!found)
		return false;
	stored_object_ref(found);
	remove_from(tree, &tree->root, value_of(tree, found), storage_object_key(found));
	stored_object_unref(found);
	while (tree->root && !tree->root->is_leaf && tree->root->count == 1) {
		struct tree_node *root = own(&tree->root);
		tree->root = root->children[0];
		root->count = 0;
		node_unref(root);
	}
	if (tree->root && !tree->root->count) {
		node_unref(tree->root);
		tree->root = NULL;
	}
	return true;
}

void object_tree_done(struct object_tree *tree)
{
	node_unref(tree->root);
	tree->root = NULL;
}

struct object_tree object_tree_snapshot(const struct object_tree *tree)
{
	if (tree->root)
		atomic_fetch_add_explicit(&tree->root->references, 1, memory_order_relaxed);
	return *tree;
}

// --- reading ---------------------------------------------------------------------

size_t object_tree_count(const struct object_tree *tree)
{
	return tree->root ? tree->root->total : 0;
}

struct stored_object *object_tree_find(const struct object_tree *tree, const char *value, const char *key)
{
	const struct tree_node *node = tree->root;
	if (!node)
		return NULL;
	while (!node->is_leaf)
		node = node->children[child_index(tree, node, value, key)];
	bool equal;
	size_t position = lower_bound(tree, node, value, key, &equal);
	return equal ? node->objects[position] : NULL;
}

size_t object_tree_rank(const struct object_tree *tree, const char *value, const char *key)
{
	const struct tree_node *node = tree->root;
	size_t rank = 0;
	bool equal;
	if (!node)
		return 0;
	while (!node->is_leaf) {
		size_t position = child_index(tree, node, value, key);
		for (size_t i = 0; i < position; i++)
			rank += node->children[i]->total;
		node = node->children[position];
	}
	return rank + lower_bound(tree, node, value, key, &equal);
}

// Skips `*skip` objects, then copies; returns how many.
static size_t copy_from(const struct tree_node *node, size_t *skip, size_t limit, struct stored_object **out)
{
	if (*skip >= node->total) {
		*skip -= node->total;
		return 0;
	}
	if (node->is_leaf) {
		size_t count = node->count - *skip;
		count = count < limit ? count : limit;
		memcpy(out, &node->objects[*skip], count * sizeof(*out));
		*skip = 0;
		return count;
	}
	size_t copied = 0;
	for (size_t i = 0; i < node->count && copied < limit; i++)
		copied += copy_from(node->children[i], skip, limit - copied, out + copied);
	return copied;
}

size_t object_tree_copy(const struct object_tree *tree, size_t rank, size_t limit, struct stored_object **out)
{
	return tree->root && limit ? copy_from(tree->root, &rank, limit, out) : 0;
}
