// CLOCK, an eviction strategy: what was read since the hand last came by has a second chance. The host's slots are the
// frames on the clock's face; a read sets a mark, and the hand takes marks away until it finds an entry without one.
//
// From Corbató, *A Paging Experiment with the Multics System*, 1968. An entry comes in without a mark, so that what is
// read only once leaves first.

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

typedef struct {
    uint64_t id;
    uint64_t weight;
    bool resident;
    bool marked;
} frame;

// The face of the clock: a frame for each slot that was ever used. An instance serves one shard, so there is one.
static frame *frames;
static size_t frame_count;
static size_t resident_count;
static size_t hand;

static size_t slot_of(uint64_t id) {
    return (size_t)(id & UINT32_MAX);
}

static void *allocate(void *old, size_t count, size_t size) {
    void *memory = realloc(old, count * size);
    // There is no way to go on without: the host drops the instance, and goes on with a strategy of its own.
    if (memory == NULL) abort();
    return memory;
}

// The entry's frame, or NULL if the entry is not there, because it never came or its slot is another's by now.
static frame *find(uint64_t id) {
    size_t slot = slot_of(id);
    if (slot >= frame_count || !frames[slot].resident || frames[slot].id != id) return NULL;
    return &frames[slot];
}

static void insert(uint64_t id, uint64_t weight) {
    size_t slot = slot_of(id);
    if (slot >= frame_count) {
        size_t count = slot + 1 > 2 * frame_count ? slot + 1 : 2 * frame_count;
        frames = allocate(frames, count, sizeof(frame));
        for (size_t new = frame_count; new < count; new++) frames[new].resident = false;
        frame_count = count;
    }
    // An entry that had the slot before is gone, and told of among the removed ones further down in the batch.
    if (!frames[slot].resident) resident_count++;
    frames[slot] = (frame){.id = id, .weight = weight, .resident = true, .marked = false};
}

static void drop(frame *dropped) {
    dropped->resident = false;
    resident_count--;
}

// The next entry without a mark. There is one: a round of the hand takes all marks away.
static frame *next_victim(void) {
    for (;;) {
        frame *passed = &frames[hand];
        hand = hand + 1 < frame_count ? hand + 1 : 0;
        if (passed->resident && !passed->marked) return passed;
        passed->marked = false;
    }
}

bool exports_larder_plugin_eviction_open(
    clock_string_t *settings, uint64_t capacity, exports_larder_plugin_eviction_error_t *error) {
    (void)capacity;
    size_t length = settings->len;
    const char *text = (const char *)settings->ptr;
    bool empty = (length == 4 && memcmp(text, "null", 4) == 0) || (length == 2 && memcmp(text, "{}", 2) == 0);
    clock_string_free(settings);
    if (empty) return true;
    *error = (exports_larder_plugin_eviction_error_t){.kind = LARDER_PLUGIN_TYPES_ERROR_KIND_INVALID_INPUT};
    clock_string_dup(&error->message, "the plugin's `config` does not fit: there is nothing to configure");
    return false;
}

void exports_larder_plugin_eviction_step(
    exports_larder_plugin_eviction_batch_t *events, uint64_t wanted, uint32_t max_victims,
    exports_larder_plugin_eviction_list_entry_id_t *victims) {
    for (size_t i = 0; i < events->inserted.len; i++) insert(events->inserted.ptr[i], events->weights.ptr[i]);
    for (size_t i = 0; i < events->accessed.len; i++) {
        frame *accessed = find(events->accessed.ptr[i]);
        if (accessed != NULL) accessed->marked = true;
    }
    for (size_t i = 0; i < events->removed.len; i++) {
        frame *removed = find(events->removed.ptr[i]);
        if (removed != NULL) drop(removed);
    }
    exports_larder_plugin_eviction_batch_free(events);

    *victims = (exports_larder_plugin_eviction_list_entry_id_t){.ptr = NULL, .len = 0};
    size_t most = max_victims < resident_count ? max_victims : resident_count;
    if (wanted == 0 || most == 0) return;
    victims->ptr = allocate(NULL, most, sizeof(uint64_t));
    for (uint64_t freed = 0; freed < wanted && victims->len < most;) {
        frame *victim = next_victim();
        drop(victim);
        freed += victim->weight;
        victims->ptr[victims->len++] = victim->id;
    }
}
