/*
 * new_id.h
 *		Ids: UUIDs of version 7.
 */
#ifndef ORGUSERS_NEW_ID_H
#define ORGUSERS_NEW_ID_H

#include "orgusers.h"

extern void orgusers_make_id(pg_uuid_t *id);

#endif							/* ORGUSERS_NEW_ID_H */
