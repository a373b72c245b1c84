/*
 * address_in_tree.c
 *		Constraint triggers: where the policy says so, an address is used only
 *		once in the tree of account and sub-accounts.
 */
#include "invariants/constraint.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(orgusers_member_in_tree_check);
PG_FUNCTION_INFO_V1(orgusers_invitation_in_tree_check);
PG_FUNCTION_INFO_V1(orgusers_email_in_tree_check);

/*
 * What of a tree uses an address elsewhere than in organization o: a
 * membership of the user who has it, or an invitation that is open by the
 * clock.  An expired one makes room.
 */
#define MEMBER_ELSEWHERE(user_id) \
	"EXISTS (SELECT FROM orgusers.memberships m" \
	"        JOIN orgusers.organizations t ON t.id = m.org_id" \
	"        WHERE m.user_id = " user_id \
	"        AND t.root_id = o.root_id AND t.id <> o.id)"
#define INVITED_ELSEWHERE(email) \
	"EXISTS (SELECT FROM orgusers.invitations i" \
	"        JOIN orgusers.organizations t ON t.id = i.org_id" \
	"        WHERE i.email = " email " AND i.status = 'pending'" \
	"        AND i.expires_at > clock_timestamp()" \
	"        AND t.root_id = o.root_id AND t.id <> o.id)"

/*
 * refuse_used_in_tree
 *		Says that an address is used elsewhere in the tree; not where.
 */
static void
refuse_used_in_tree(TriggerData *trigger)
{
	ereport(ERROR,
			(errcode(ERRCODE_OU_ADDRESS_IN_TREE),
			 errmsg("the address is used elsewhere in the account and its sub-accounts"),
			 errhint("It is a user's or in a pending invitation there; remove the user or cancel the invitation first."),
			 errtableconstraint(trigger->tg_relation,
								trigger->tg_trigger->tgname)));
}

/*
 * check_user_in_tree
 *		Looks whether a user of an organization, whose tree is locked, is used
 *		elsewhere in the tree.
 */
static void
check_user_in_tree(TriggerData *trigger, const pg_uuid_t *org_id,
				   const pg_uuid_t *user_id)
{
	static SPIPlanPtr plan = NULL;

	SPI_connect();
	if (orgusers_find_row_of(&plan,
							 "SELECT FROM orgusers.memberships mine"
							 " JOIN orgusers.organizations o ON o.id = mine.org_id"
							 " JOIN orgusers.users u ON u.id = mine.user_id"
							 " WHERE mine.org_id = $1 AND mine.user_id = $2"
							 " AND (" MEMBER_ELSEWHERE("u.id")
							 "      OR " INVITED_ELSEWHERE("u.email") ")",
							 org_id, user_id))
		refuse_used_in_tree(trigger);
	SPI_finish();
}

static void
check_member_in_tree(TriggerData *trigger, OrgusersTouched *org)
{
	HeapTuple	row = orgusers_new_row(trigger);
	pg_uuid_t	org_id = orgusers_row_uuid(trigger, row, "org_id");
	pg_uuid_t	user_id;

	/* Nothing can be used twice where a row was taken away. */
	if (orgusers_compare_uuids(&org_id, &org->org_id) != 0)
		return;

	/* Most policies have no such rule: they are asked once a command. */
	if (org->apart_checked != InvalidCommandId &&
		org->apart_checked == orgusers_command_of(trigger))
		return;
	if (!orgusers_place(&org_id).unique_in_tree)
	{
		org->apart_checked = orgusers_command_of(trigger);
		return;
	}
	user_id = orgusers_row_uuid(trigger, row, "user_id");
	check_user_in_tree(trigger, &org_id, &user_id);
}

static void
check_invitation_in_tree(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;
	HeapTuple	row = orgusers_new_row(trigger);
	pg_uuid_t	org_id = orgusers_row_uuid(trigger, row, "org_id");
	pg_uuid_t	id = orgusers_row_uuid(trigger, row, "id");

	if (orgusers_compare_uuids(&org_id, &org->org_id) != 0)
		return;

	SPI_connect();
	if (orgusers_find_row_of(&plan,
							 "SELECT FROM orgusers.invitations mine"
							 " JOIN orgusers.organizations o ON o.id = mine.org_id"
							 " LEFT JOIN orgusers.users u ON u.email = mine.email"
							 " WHERE mine.org_id = $1 AND mine.id = $2"
							 " AND mine.status = 'pending'"
							 " AND mine.expires_at > clock_timestamp()"
							 " AND (" MEMBER_ELSEWHERE("u.id")
							 "      OR " INVITED_ELSEWHERE("mine.email") ")",
							 &org_id, &id))
		refuse_used_in_tree(trigger);
	SPI_finish();
}

/*
 * orgusers_member_in_tree_check
 *		Constraint trigger on memberships: where the policy says so, a user's
 *		address is used nowhere else in the tree of account and sub-accounts.
 *
 * Raises OU307.
 */
Datum
orgusers_member_in_tree_check(PG_FUNCTION_ARGS)
{
	return orgusers_for_each_org(fcinfo, check_member_in_tree);
}

/*
 * orgusers_invitation_in_tree_check
 *		Constraint trigger on invitations: the same for an invited address.
 *
 * Without that rule an invitation takes no lock on its organization, so the
 * policy is asked first.  Raises OU307.
 */
Datum
orgusers_invitation_in_tree_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	pg_uuid_t	org_id;

	orgusers_require_after_row(fcinfo);
	org_id = orgusers_row_uuid(trigger, orgusers_new_row(trigger), "org_id");
	if (!orgusers_place(&org_id).unique_in_tree)
		return PointerGetDatum(NULL);
	return orgusers_for_each_org(fcinfo, check_invitation_in_tree);
}

/*
 * orgusers_email_in_tree_check
 *		Constraint trigger on users: an address that a user takes on is not
 *		invited elsewhere in a tree that the user is in.
 *
 * Which trees these are is asked of a snapshot of now: an old one would not
 * show a membership that was made since, and what is not looked for is not
 * locked either.  None is made behind it: its foreign key waits for the
 * update of the address.  Raises OU307.
 */
Datum
orgusers_email_in_tree_check(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Datum		args[1];
	Snapshot	now;
	pg_uuid_t	user_id;
	pg_uuid_t  *orgs;
	int			count;

	orgusers_require_after_row(fcinfo);
	user_id = orgusers_row_uuid(trigger, orgusers_new_row(trigger), "id");

	SPI_connect();
	if (plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		plan = SPI_prepare("SELECT o.id FROM orgusers.memberships m"
						   " JOIN orgusers.organizations o ON o.id = m.org_id"
						   " JOIN orgusers.policies p ON p.id = o.policy"
						   " WHERE m.user_id = $1 AND p.unique_in_tree"
						   " ORDER BY o.root_id, o.id", 1, argtypes);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare the check of an address");
	}
	args[0] = UUIDPGetDatum(&user_id);
	now = RegisterSnapshot(GetLatestSnapshot());
	if (SPI_execute_snapshot(plan, args, NULL, now, InvalidSnapshot,
							 false, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a user's organizations");
	UnregisterSnapshot(now);
	count = (int) SPI_processed;
	orgs = palloc(count * sizeof(pg_uuid_t));
	for (int i = 0; i < count; i++)
	{
		bool		isnull;

		orgs[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i],
											   SPI_tuptable->tupdesc, 1,
											   &isnull));
	}
	for (int i = 0; i < count; i++)
	{
		if (orgusers_touch(&orgs[i]) != NULL)
			check_user_in_tree(trigger, &orgs[i], &user_id);
		else if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update")));
	}
	SPI_finish();
	return PointerGetDatum(NULL);
}
