/*
 * load.h
 *		Reading a user's rights and roles from the tables.
 */
#ifndef ORGUSERS_LOAD_H
#define ORGUSERS_LOAD_H

#include "access/lookup.h"
#include "access/rights.h"

/* A user's rights, in the memory of the reading they came from. */
typedef struct OrgusersLoaded
{
	int			org_count;
	OrgusersOrgRights *orgs;	/* in order of their ids */
	int			space_count;
	pg_uuid_t  *spaces;			/* in the order of the organizations */
} OrgusersLoaded;

extern void orgusers_load(OrgusersReading *reading,
						  OrgusersNumbering *numbering,
						  const pg_uuid_t *user_id, OrgusersLoaded *result);

/* A question about a role of an organization. */
typedef bool (*OrgusersRoleTest) (OrgusersReading *reading,
								  const pg_uuid_t *org_id,
								  const pg_uuid_t *role_id, const void *arg);

extern bool orgusers_any_held_role(OrgusersReading *reading,
								   const pg_uuid_t *user_id,
								   const pg_uuid_t *org_id,
								   OrgusersRoleTest test, const void *arg);
extern bool orgusers_holds_role(const pg_uuid_t *user_id,
								const pg_uuid_t *org_id, const char *name);

#endif							/* ORGUSERS_LOAD_H */
