/*
 * checks.c
 *		SQL functions: what the actor may do.
 */
#include "access/statement.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(orgusers_can);
PG_FUNCTION_INFO_V1(orgusers_orgs_with);
PG_FUNCTION_INFO_V1(orgusers_is_member);

/*
 * orgusers_can
 *		can(org_id uuid, permission text): whether the actor has the permission
 *		in the organization; false for NULLs.
 */
Datum
orgusers_can(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking;
	const OrgusersOrgRights *org;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	asking = orgusers_ask(fcinfo, 1);
	if (asking == NULL)
		PG_RETURN_BOOL(false);
	org = orgusers_rights_in(asking->rights, PG_GETARG_UUID_P(0));
	PG_RETURN_BOOL(org != NULL &&
				   orgusers_org_rights_have(org, asking->permission));
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
	const OrgusersOrgRights *orgs;
	Datum	   *ids;
	int			count;
	int			found = 0;

	if (asking == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));

	count = orgusers_rights_orgs(asking->rights, &orgs);
	ids = palloc(sizeof(Datum) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		if (orgusers_org_rights_have(&orgs[i], asking->permission))
			ids[found++] = UUIDPGetDatum(&orgs[i].org_id);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, found, UUIDOID, UUID_LEN, false,
										  TYPALIGN_CHAR));
}

/*
 * orgusers_is_member
 *		is_member(org_id uuid): whether the actor is an active user there.
 */
Datum
orgusers_is_member(PG_FUNCTION_ARGS)
{
	OrgusersAsking *asking;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	asking = orgusers_ask(fcinfo, ORGUSERS_NO_PERMISSION_ARG);
	PG_RETURN_BOOL(asking != NULL &&
				   orgusers_rights_in(asking->rights,
									  PG_GETARG_UUID_P(0)) != NULL);
}
