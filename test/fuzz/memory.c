/*
 * memory.c
 *		The server's palloc() for a fuzzing program: what an input took is
 *		given back when it is over, as a memory context would.
 *
 * The linker puts these in place of the real ones (--wrap).
 */
#include "fuzz.h"
#include "memory.h"

#include <string.h>

extern void *__wrap_palloc(size_t size);
extern void *__wrap_palloc0(size_t size);
extern void *__wrap_repalloc(void *pointer, size_t size);
extern void __wrap_pfree(void *pointer);
extern char *__wrap_pstrdup(const char *text);

static void **taken = NULL;
static size_t count = 0;
static size_t room = 0;

static size_t
place_of(void *pointer)
{
	for (size_t i = count; i-- > 0;)
		if (taken[i] == pointer)
			return i;
	MUST(!"memory that was taken here");
	return 0;
}

void *
__wrap_palloc(size_t size)
{
	if (count == room)
		taken = realloc(taken, (room = room * 2 + 64) * sizeof(void *));
	return taken[count++] = malloc(size > 0 ? size : 1);
}

void *
__wrap_palloc0(size_t size)
{
	return memset(__wrap_palloc(size), 0, size);
}

void *
__wrap_repalloc(void *pointer, size_t size)
{
	size_t		place = place_of(pointer);

	return taken[place] = realloc(pointer, size);
}

void
__wrap_pfree(void *pointer)
{
	taken[place_of(pointer)] = taken[count - 1];
	count--;
	free(pointer);
}

char *
__wrap_pstrdup(const char *text)
{
	return strcpy(__wrap_palloc(strlen(text) + 1), text);
}

void
forget_memory(void)
{
	while (count > 0)
		free(taken[--count]);
}
