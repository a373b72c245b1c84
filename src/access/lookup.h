/*
 * lookup.h
 *		Look-ups of rights: as of now, whoever asks.
 */
#ifndef ORGUSERS_LOOKUP_H
#define ORGUSERS_LOOKUP_H

#include "orgusers.h"

#include "executor/spi.h"

extern void orgusers_look_up(SPIPlanPtr *plan, const char *query,
							 const pg_uuid_t *user_id);
extern char *orgusers_column_text(uint64 row, int column);

#endif							/* ORGUSERS_LOOKUP_H */
