/*
 * checks.c
 *		SQL functions: what the actor may do.
 */
#include "access/statement.h"

#include "access/load.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "identity/identity.h"

PG_FUNCTION_INFO_V1(orgusers_can);
PG_FUNCTION_INFO_V1(orgusers_can_in_space);
PG_FUNCTION_INFO_V1(orgusers_orgs_with);
PG_FUNCTION_INFO_V1(orgusers_orgs_reached);
PG_FUNCTION_INFO_V1(orgusers_assigned_spaces_with);
PG_FUNCTION_INFO_V1(orgusers_is_member);
PG_FUNCTION_INFO_V1(orgusers_reaches);
PG_FUNCTION_INFO_V1(orgusers_has_role);
PG_FUNCTION_INFO_V1(orgusers_has_right);

/*
 * orgusers_can
 *		can(org_id uuid, permission text): whether the actor has the permission
 *		in the organization; false for NULLs.
 */
Datum
orgusers_can(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	asking = orgusers_ask(fcinfo, 1);
	PG_RETURN_BOOL(asking != NULL &&
				   orgusers_rights_have(asking->rights, PG_GETARG_UUID_P(0),
										asking->permission));
}

/*
 * orgusers_can_in_space
 *		can(org_id uuid, space_id uuid, permission text): whether the actor has
 *		the permission in the space; without a space, in the organization.
 */
Datum
orgusers_can_in_space(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking;
	const OrgusersOrgRights *org;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	asking = orgusers_ask(fcinfo, 2);
	if (asking == NULL)
		PG_RETURN_BOOL(false);
	org = orgusers_rights_in(asking->rights, PG_GETARG_UUID_P(0));
	if (org == NULL)
		PG_RETURN_BOOL(false);
	if (PG_ARGISNULL(1))
		PG_RETURN_BOOL(orgusers_org_rights_have(org, asking->permission));
	PG_RETURN_BOOL(orgusers_rights_in_space(asking->rights, org,
											PG_GETARG_UUID_P(1),
											asking->permission));
}

/*
 * org_list
 *		The actor's organizations that a test accepts, in order of their ids.
 */
static Datum
org_list(OrgusersAsking *asking,
		 bool (*accepts) (const OrgusersOrgRights *, OrgusersPermission))
{
	const OrgusersOrgRights *orgs;
	Datum	   *ids;
	int			count;
	int			found = 0;

	count = orgusers_rights_orgs(asking->rights, &orgs);
	ids = palloc(sizeof(Datum) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		if (accepts(&orgs[i], asking->permission))
			ids[found++] = UUIDPGetDatum(&orgs[i].org_id);
	}
	return PointerGetDatum(construct_array(ids, found, UUIDOID, UUID_LEN, false,
										   TYPALIGN_CHAR));
}

/*
 * orgusers_orgs_with
 *		orgs_with(permission text): the organizations in which the actor has
 *		the permission, in order of their ids.
 */
Datum
orgusers_orgs_with(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking = PG_ARGISNULL(0) ? NULL : orgusers_ask(fcinfo, 0);

	if (asking == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	PG_RETURN_DATUM(org_list(asking, orgusers_org_rights_have));
}

/*
 * orgusers_orgs_reached
 *		orgs_reached(permission text): those in which the actor has it at least
 *		in some space.
 */
Datum
orgusers_orgs_reached(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking = PG_ARGISNULL(0) ? NULL : orgusers_ask(fcinfo, 0);

	if (asking == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	PG_RETURN_DATUM(org_list(asking, orgusers_org_rights_reach));
}

/*
 * orgusers_assigned_spaces_with
 *		assigned_spaces_with(permission text): the spaces assigned to the actor
 *		in which the actor has the permission.
 */
Datum
orgusers_assigned_spaces_with(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking = PG_ARGISNULL(0) ? NULL : orgusers_ask(fcinfo, 0);
	ArrayBuildState *state = NULL;
	const OrgusersOrgRights *orgs;
	int			count;

	if (asking == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	count = orgusers_rights_orgs(asking->rights, &orgs);
	for (int i = 0; i < count; i++)
	{
		const pg_uuid_t *spaces = orgusers_org_rights_spaces(asking->rights,
															 &orgs[i]);

		if (!orgusers_org_rights_reach(&orgs[i], asking->permission))
			continue;
		for (int k = 0; k < orgs[i].space_count; k++)
			state = accumArrayResult(state, UUIDPGetDatum(&spaces[k]), false,
									 UUIDOID, CurrentMemoryContext);
	}
	if (state == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	PG_RETURN_DATUM(makeArrayResult(state, CurrentMemoryContext));
}

/* The actor's rights in the organization of the first argument, if any. */
static const OrgusersOrgRights *
rights_there(FunctionCallInfo fcinfo)
{
	OrgusersAsking *asking;

	if (PG_ARGISNULL(0))
		return NULL;
	asking = orgusers_ask(fcinfo, ORGUSERS_NO_PERMISSION_ARG);
	if (asking == NULL)
		return NULL;
	return orgusers_rights_in(asking->rights, PG_GETARG_UUID_P(0));
}

/*
 * orgusers_is_member
 *		is_member(org_id uuid): whether the actor is an active user there.
 */
Datum
orgusers_is_member(PG_FUNCTION_ARGS)
{
	const OrgusersOrgRights *org = rights_there(fcinfo);

	PG_RETURN_BOOL(org != NULL && org->member);
}

/*
 * orgusers_reaches
 *		reaches(org_id uuid): whether the actor is an active user there, or
 *		holds a role in an account above that reaches it.
 */
Datum
orgusers_reaches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rights_there(fcinfo) != NULL);
}

/*
 * orgusers_has_role
 *		has_role(org_id uuid, role text): whether the actor holds a role of that
 *		name there, by a look-up of what is so now; false for NULLs.
 */
Datum
orgusers_has_role(PG_FUNCTION_ARGS)
{
	pg_uuid_t	actor;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || !orgusers_current_user(&actor))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(orgusers_holds_role(&actor, PG_GETARG_UUID_P(0),
									   text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/*
 * orgusers_has_right
 *		has_right(user_id uuid, org_id uuid, permission text): whether a user
 *		has the permission in all of the organization, now.
 *
 * Asked behind the organization's lock by what decides about a change, so it
 * is no part of the statement around it, whose rights stay the same.
 */
Datum
orgusers_has_right(PG_FUNCTION_ARGS)
{
	text	   *permission;
	OrgusersRights *rights;
	const OrgusersOrgRights *org;
	bool		has;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	permission = PG_GETARG_TEXT_PP(2);
	rights = orgusers_rights_pin(PG_GETARG_UUID_P(0));
	org = orgusers_rights_in(rights, PG_GETARG_UUID_P(1));
	has = org != NULL &&
		orgusers_org_rights_have(org,
								 orgusers_rights_number(rights,
														VARDATA_ANY(permission),
														VARSIZE_ANY_EXHDR(permission)));
	orgusers_rights_unpin(rights);
	PG_RETURN_BOOL(has);
}
