/*
 * lookup.h
 *		Reading the tables that rights are made of: as of now, whoever asks.
 *
 * A reading is a number of scans of such tables, all of one moment.  Each way
 * into a table has one scan, which can be started again with other keys.
 */
#ifndef ORGUSERS_LOOKUP_H
#define ORGUSERS_LOOKUP_H

#include "orgusers.h"

/* Ways into the tables; behind each its keys, and the columns it gives. */
typedef enum OrgusersPath
{
	ORGUSERS_MEMBERSHIPS,		/* user [, organization]: org_id, status */
	ORGUSERS_DIRECT_ROLES,		/* user [, organization]: org_id, role_id */
	ORGUSERS_OWN_PERMISSIONS,	/* user: org_id, permission */
	ORGUSERS_GROUPS,			/* user [, organization]: org_id, group_id */
	ORGUSERS_GROUP_ROLES,		/* organization, group: role_id */
	ORGUSERS_ROLE,				/* organization, role: policy, template, edited */
	ORGUSERS_ROLE_NAME,			/* organization, role: name */
	ORGUSERS_ROLE_PERMISSIONS,	/* organization, role: permission */
	ORGUSERS_DIRECT_SPACES,		/* organization, user: space_id */
	ORGUSERS_GROUP_SPACES,		/* organization, group: space_id */
	ORGUSERS_ORGANIZATION,		/* organization: policy */
	ORGUSERS_USER,				/* user: email_verified_at, perhaps NULL */
	ORGUSERS_PLACE,				/* organization: root_id, policy */
	ORGUSERS_PARENT,			/* organization: parent_id, perhaps NULL */
	ORGUSERS_SUBACCOUNTS,		/* parent: id */
	ORGUSERS_PERMISSIONS,		/* all: key, scope */
	ORGUSERS_TEMPLATES,			/* all: policy, id, all_spaces, reaches_below */
	ORGUSERS_TEMPLATE_PERMISSIONS,	/* all: policy, template, permission */
	ORGUSERS_BASE_PERMISSIONS,	/* all: policy, permission */
	ORGUSERS_POLICY,			/* policy: unique_in_tree */
	ORGUSERS_TEMPLATE,			/* policy, id: reaches_below, editable */
	ORGUSERS_TEMPLATE_GRANTS,	/* policy, template, grantable: grantable */
	ORGUSERS_PERMISSIONS_OF_TEMPLATE,	/* policy, template: permission */
	ORGUSERS_PATHS				/* how many there are */
} OrgusersPath;

typedef struct OrgusersReading OrgusersReading;

extern OrgusersReading *orgusers_reading_begin(void);
extern void orgusers_reading_end(OrgusersReading *reading);
extern void orgusers_reading_forget(Oid relid);

extern void orgusers_read(OrgusersReading *reading, OrgusersPath path,
						  const pg_uuid_t *key, const pg_uuid_t *second_key);
extern void orgusers_read_texts(OrgusersReading *reading, OrgusersPath path,
								const char *key, const char *second_key,
								const char *third_key);
extern bool orgusers_read_next(OrgusersReading *reading, OrgusersPath path);
extern bool orgusers_read_is_null(OrgusersReading *reading,
								  OrgusersPath path, int column);
extern pg_uuid_t orgusers_read_uuid(OrgusersReading *reading,
									OrgusersPath path, int column);
extern bool orgusers_read_bool(OrgusersReading *reading, OrgusersPath path,
							   int column);
extern char *orgusers_read_text(OrgusersReading *reading, OrgusersPath path,
								int column);

#endif							/* ORGUSERS_LOOKUP_H */
