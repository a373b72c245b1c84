/*
 * grants.c
 *		SQL function: whether a user may give and take a role.
 *
 * Nobody gives more than they have.  It is asked behind the organization's
 * lock and reads what is so now (lookup.h): a role held in an account above is
 * not behind that lock, so whoever takes it away does not make a transaction
 * with an older snapshot fail.
 */
#include "access/load.h"

#include "access/invalidation.h"
#include "nodes/pg_list.h"

PG_FUNCTION_INFO_V1(orgusers_may_grant);

/* What decides about a role. */
typedef struct Role
{
	char	   *policy;
	char	   *template;
	bool		edited;
} Role;

static bool
read_role(OrgusersReading *reading, const pg_uuid_t *org_id,
		  const pg_uuid_t *role_id, Role *role)
{
	orgusers_read(reading, ORGUSERS_ROLE, org_id, role_id);
	if (!orgusers_read_next(reading, ORGUSERS_ROLE))
		return false;
	role->policy = orgusers_read_text(reading, ORGUSERS_ROLE, 0);
	role->template = orgusers_read_text(reading, ORGUSERS_ROLE, 1);
	role->edited = orgusers_read_bool(reading, ORGUSERS_ROLE, 2);
	return true;
}

/* Goes to the template of a role; false when it is not there. */
static bool
read_template(OrgusersReading *reading, const Role *role)
{
	orgusers_read_texts(reading, ORGUSERS_TEMPLATE, role->policy,
						role->template, NULL);
	return orgusers_read_next(reading, ORGUSERS_TEMPLATE);
}

/* Whether a role's template grants the template of another. */
static bool
grants(OrgusersReading *reading, const Role *role, const Role *wanted)
{
	if (strcmp(role->policy, wanted->policy) != 0)
		return false;
	orgusers_read_texts(reading, ORGUSERS_TEMPLATE_GRANTS, role->policy,
						role->template, wanted->template);
	return orgusers_read_next(reading, ORGUSERS_TEMPLATE_GRANTS);
}

/* Whether a role grants the wanted one in its own organization. */
static bool
grants_here(OrgusersReading *reading, const pg_uuid_t *org_id,
			const pg_uuid_t *role_id, const void *wanted)
{
	Role		role;

	return read_role(reading, org_id, role_id, &role) &&
		grants(reading, &role, wanted);
}

/* Whether it reaches below, and grants the wanted one there. */
static bool
grants_below(OrgusersReading *reading, const pg_uuid_t *org_id,
			 const pg_uuid_t *role_id, const void *wanted)
{
	Role		role;

	return read_role(reading, org_id, role_id, &role) &&
		read_template(reading, &role) &&
		orgusers_read_bool(reading, ORGUSERS_TEMPLATE, 0) &&
		grants(reading, &role, wanted);
}

/* Whether a role held in an account above an organization grants one there. */
static bool
granted_from_above(OrgusersReading *reading, const pg_uuid_t *user_id,
				   const pg_uuid_t *org_id, const Role *wanted)
{
	pg_uuid_t	account = *org_id;
	pg_uuid_t	passed = account;

	for (int64 steps = 1;; steps++)
	{
		orgusers_read(reading, ORGUSERS_PARENT, &account, NULL);
		if (!orgusers_read_next(reading, ORGUSERS_PARENT) ||
			orgusers_read_is_null(reading, ORGUSERS_PARENT, 0))
			return false;
		account = orgusers_read_uuid(reading, ORGUSERS_PARENT, 0);

		/* A tree has no circle, unless somebody made one without foreign keys. */
		if (orgusers_compare_uuids(&account, &passed) == 0)
			return false;
		if ((steps & (steps - 1)) == 0)
			passed = account;
		if (orgusers_any_held_role(reading, user_id, &account, grants_below,
								   wanted))
			return true;
	}
}

/* Whether a user has everywhere in an organization what a role there permits. */
static bool
has_all_of(OrgusersReading *reading, const pg_uuid_t *user_id,
		   const pg_uuid_t *org_id, const pg_uuid_t *role_id, const Role *role)
{
	OrgusersPath path = role->edited ? ORGUSERS_ROLE_PERMISSIONS :
		ORGUSERS_PERMISSIONS_OF_TEMPLATE;
	List	   *keys = NIL;
	ListCell   *lc;
	OrgusersRights *rights;
	const OrgusersOrgRights *org;
	bool		has = true;

	if (role->edited)
		orgusers_read(reading, path, org_id, role_id);
	else
		orgusers_read_texts(reading, path, role->policy, role->template, NULL);
	while (orgusers_read_next(reading, path))
		keys = lappend(keys, orgusers_read_text(reading, path, 0));

	/* Nothing that can fail comes between the pin and its end. */
	rights = orgusers_rights_pin(user_id);
	org = orgusers_rights_in(rights, org_id);
	foreach(lc, keys)
	{
		char	   *key = lfirst(lc);

		has = has && org != NULL &&
			orgusers_org_rights_have(org, orgusers_rights_number(rights, key,
																 strlen(key)));
	}
	orgusers_rights_unpin(rights);
	return has;
}

/*
 * may_grant
 *		The same as orgusers_may_grant, by one reading.
 */
static bool
may_grant(OrgusersReading *reading, const pg_uuid_t *user_id,
		  const pg_uuid_t *org_id, const pg_uuid_t *role_id)
{
	Role		role;

	if (!read_role(reading, org_id, role_id, &role))
		return false;
	if (!orgusers_any_held_role(reading, user_id, org_id, grants_here, &role) &&
		!granted_from_above(reading, user_id, org_id, &role))
		return false;

	/*
	 * What a role of an editable template permits can differ from the
	 * template's, so the matrix of grants does not say enough.
	 */
	return read_template(reading, &role) &&
		(!orgusers_read_bool(reading, ORGUSERS_TEMPLATE, 1) ||
		 has_all_of(reading, user_id, org_id, role_id, &role));
}

/*
 * orgusers_may_grant
 *		may_grant(user_id uuid, org_id uuid, role_id uuid): whether a user may
 *		give and take the role, now; false for NULLs.
 */
Datum
orgusers_may_grant(PG_FUNCTION_ARGS)
{
	OrgusersReading *reading;
	bool		may;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	orgusers_invalidation_begin();
	reading = orgusers_reading_begin();
	may = may_grant(reading, PG_GETARG_UUID_P(0), PG_GETARG_UUID_P(1),
					PG_GETARG_UUID_P(2));
	orgusers_reading_end(reading);
	PG_RETURN_BOOL(may);
}
