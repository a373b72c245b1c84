/*
 * identity.h
 *		Who acts in this session.
 */
#ifndef ORGUSERS_IDENTITY_H
#define ORGUSERS_IDENTITY_H

#include "orgusers.h"

extern bool orgusers_current_user(pg_uuid_t *user_id);
extern void orgusers_set_current_user(const pg_uuid_t *user_id,
									  bool for_session);
extern bool orgusers_find_user(const pg_uuid_t *user_id, bool *verified);

extern int	orgusers_assertion_leeway;
extern uint64 orgusers_actor_changes;

#endif							/* ORGUSERS_IDENTITY_H */
