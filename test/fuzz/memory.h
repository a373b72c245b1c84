/*
 * memory.h
 *		The server's memory in a fuzzing program.
 */
#ifndef ORGUSERS_FUZZ_MEMORY_H
#define ORGUSERS_FUZZ_MEMORY_H

/* Gives back all that the input took. */
extern void forget_memory(void);

#endif							/* ORGUSERS_FUZZ_MEMORY_H */
