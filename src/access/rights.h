/*
 * rights.h
 *		What a user may do in which organization, cached in this backend.
 */
#ifndef ORGUSERS_RIGHTS_H
#define ORGUSERS_RIGHTS_H

#include "orgusers.h"

#include "access/numbering.h"

/* The rights of one user in one organization. */
typedef struct OrgusersOrgRights
{
	pg_uuid_t	org_id;
	const OrgusersRoleSet *roles;
	bool		member;			/* an active user; else reaches it from above */
	int			first_space;	/* of those assigned to the user */
	int			space_count;
} OrgusersOrgRights;

/*
 * The rights of one user in all organizations, as of one moment.  It never
 * changes: newer rights are another object.  Who holds a pin on it can use it.
 */
typedef struct OrgusersRights OrgusersRights;

extern OrgusersRights *orgusers_rights_pin(const pg_uuid_t *user_id);
extern void orgusers_rights_pin_again(OrgusersRights *rights);
extern void orgusers_rights_unpin(OrgusersRights *rights);
extern bool orgusers_rights_current(OrgusersRights *rights);

extern const pg_uuid_t *orgusers_rights_user(const OrgusersRights *rights);
extern OrgusersPermission orgusers_rights_number(const OrgusersRights *rights,
												 const char *key, int length);
extern const OrgusersOrgRights *orgusers_rights_in(const OrgusersRights *rights,
												   const pg_uuid_t *org_id);
extern bool orgusers_org_rights_have(const OrgusersOrgRights *org,
									 OrgusersPermission permission);
extern bool orgusers_org_rights_reach(const OrgusersOrgRights *org,
									  OrgusersPermission permission);
extern const pg_uuid_t *orgusers_org_rights_spaces(const OrgusersRights *rights,
												   const OrgusersOrgRights *org);
extern bool orgusers_rights_have(const OrgusersRights *rights,
								 const pg_uuid_t *org_id,
								 OrgusersPermission permission);
extern bool orgusers_rights_in_space(const OrgusersRights *rights,
									 const OrgusersOrgRights *org,
									 const pg_uuid_t *space_id,
									 OrgusersPermission permission);
extern int	orgusers_rights_orgs(const OrgusersRights *rights,
								 const OrgusersOrgRights **orgs);

extern bool orgusers_rights_cover(const OrgusersRights *now,
								  const OrgusersRights *before,
								  const char *permission);

extern void orgusers_rights_init(void);

#endif							/* ORGUSERS_RIGHTS_H */
