/*
 * fuzz.h
 *		What the fuzzing programs share.
 */
#ifndef ORGUSERS_FUZZ_H
#define ORGUSERS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define MUST(what) \
	do { \
		if (!(what)) \
		{ \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

#endif							/* ORGUSERS_FUZZ_H */
