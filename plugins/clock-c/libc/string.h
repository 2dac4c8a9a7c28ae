// As much of <string.h> as the generated bindings use; memory.c has it.
#pragma once

#include <stddef.h>

size_t strlen(const char *text);
void *memcpy(void *restrict to, const void *restrict from, size_t count);
int memcmp(const void *one, const void *other, size_t count);
