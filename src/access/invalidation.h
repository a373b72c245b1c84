/*
 * invalidation.h
 *		Which cached rights a change touches, told to every backend.
 *
 * PostgreSQL tells all backends about changed relations, at the commit of the
 * change, before the commit returns, on a hot standby too.  orgusers rides on
 * that: a change of rights invalidates a proxy, an empty relation that nothing
 * else uses, and every backend notes when each proxy was invalidated last.
 * Users and organizations are hashed to a fixed number of proxies, so that a
 * change makes others reload only a small share of what they have cached.
 * doc/rights.md argues why this is right.
 */
#ifndef ORGUSERS_INVALIDATION_H
#define ORGUSERS_INVALIDATION_H

#include "orgusers.h"

#define ORGUSERS_SLOTS 16		/* proxies each for users and organizations */

/* A moment in this backend: how many invalidations it had noted. */
typedef uint64 OrgusersStamp;

extern void orgusers_invalidation_begin(void);
extern OrgusersStamp orgusers_now(void);
extern int	orgusers_slot(const pg_uuid_t *id);
extern OrgusersStamp orgusers_user_slot_changed(int slot);
extern OrgusersStamp orgusers_org_slot_changed(int slot);
extern OrgusersStamp orgusers_shared_changed(void);

#endif							/* ORGUSERS_INVALIDATION_H */
