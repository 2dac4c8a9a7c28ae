// What the generated bindings and the strategy use of libc: a component without libc imports nothing.
//
// Sizes are rounded up to powers of two, and each has a list of the blocks that were freed. Memory comes from the end
// of the linear memory, which only ever grows; a block is never split or joined, which suits few sizes that come again
// and again, as batches of events do.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE ((size_t)1 << 16)
#define SMALLEST 5
#define LARGEST 31

// Stands before each block: which list it goes to, or, while it is free, the next in that list. 16 bytes, so that
// blocks are aligned for any type.
typedef struct header {
    uint32_t power;
    struct header *next;
    uint64_t padding;
} header;

_Static_assert(sizeof(header) == 16, "blocks are aligned to 16 bytes");

// The linker's: where the data and the stack end.
extern unsigned char __heap_base;

static header *freed[LARGEST + 1];
static uintptr_t unused;

// The power of two that a header and `size` bytes fit into.
static uint32_t power_for(size_t size) {
    uint32_t power = SMALLEST;
    while (power <= LARGEST && ((size_t)1 << power) - sizeof(header) < size) power++;
    return power;
}

static header *take_unused(uint32_t power) {
    if (unused == 0) unused = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    uint64_t end = (uint64_t)unused + ((uint64_t)1 << power);
    uint64_t pages = (end + PAGE - 1) / PAGE;
    size_t have = __builtin_wasm_memory_size(0);
    if (pages > have && __builtin_wasm_memory_grow(0, (size_t)pages - have) == (size_t)-1) return NULL;
    header *block = (header *)unused;
    unused = (uintptr_t)end;
    return block;
}

void *malloc(size_t size) {
    uint32_t power = power_for(size);
    if (power > LARGEST) return NULL;
    header *block = freed[power];
    if (block != NULL) {
        freed[power] = block->next;
    } else if ((block = take_unused(power)) == NULL) {
        return NULL;
    }
    block->power = power;
    return block + 1;
}

void free(void *pointer) {
    if (pointer == NULL) return;
    header *block = (header *)pointer - 1;
    block->next = freed[block->power];
    freed[block->power] = block;
}

void *realloc(void *pointer, size_t size) {
    if (pointer == NULL) return malloc(size);
    size_t room = ((size_t)1 << ((header *)pointer - 1)->power) - sizeof(header);
    if (size <= room) return pointer;
    void *larger = malloc(size);
    if (larger != NULL) {
        memcpy(larger, pointer, room);
        free(pointer);
    }
    return larger;
}

_Noreturn void abort(void) {
    __builtin_trap();
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    // With bulk memory this is one instruction, and no call of the function that it stands in.
    return __builtin_memcpy(to, from, count);
}

int memcmp(const void *one, const void *other, size_t count) {
    const unsigned char *left = one, *right = other;
    for (size_t i = 0; i < count; i++) {
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}
