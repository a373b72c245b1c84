/*
 * holders.c
 *		Constraint trigger: least and most holders of the policy's roles.
 */
#include "invariants/constraint.h"

#include "catalog/pg_type.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(orgusers_holders_check);

/*
 * The active users who hold a role of template t of organization o directly,
 * counted up to a limit.  The organization's templates are asked, not its
 * roles: a role that was deleted has no holder left.  The look-ups are
 * subqueries, so that the planner goes from the role to its holders.
 */
#define COUNT_HOLDERS(limit) \
	"(SELECT count(*) FROM" \
	" (SELECT FROM orgusers.membership_roles mr" \
	"  WHERE mr.org_id = o.id" \
	"  AND mr.role_id = ANY (ARRAY(SELECT r.id FROM orgusers.roles r" \
	"                              WHERE r.org_id = o.id AND r.template = t.id))" \
	"  AND (SELECT m.status = 'active' FROM orgusers.memberships m" \
	"       WHERE m.org_id = mr.org_id AND m.user_id = mr.user_id)" \
	"  LIMIT " limit ") AS counted)"

/*
 * What an event takes away holders of: the template of the role that a user
 * held, the templates of the roles of a user whose membership changed, and
 * the template that a role had.  An organization that never had as many
 * holders as a template asks for can change otherwise.
 */
#define TOO_FEW(taken) \
	"SELECT t.name, t.least_holders FROM orgusers.organizations o" \
	" JOIN orgusers.role_templates t ON t.policy = o.policy" \
	" WHERE o.id = $1 AND t.least_holders > 0 AND t.id IN (" taken ")" \
	" AND " COUNT_HOLDERS("t.least_holders") " < t.least_holders"

/*
 * too_few_left
 *		Whether an event that took something away has left a role with too
 *		few holders; the row that SPI returned names it.
 */
static bool
too_few_left(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr by_role = NULL;
	static SPIPlanPtr by_member = NULL;
	static SPIPlanPtr by_template = NULL;
	Relation	rel = trigger->tg_relation;
	HeapTuple	row = trigger->tg_trigtuple;
	int			template = SPI_fnumber(RelationGetDescr(rel), "template");
	Datum		args[2] = {UUIDPGetDatum(&org->org_id)};
	pg_uuid_t	id;
	bool		isnull;

	if (template > 0)
	{
		/* A role itself: it is gone, or is like another template by now. */
		args[1] = heap_getattr(row, template, RelationGetDescr(rel), &isnull);
		return !isnull &&
			orgusers_find_row_by(&by_template, TOO_FEW("$2"), TEXTOID, args);
	}
	if (SPI_fnumber(RelationGetDescr(rel), "role_id") > 0)
	{
		/* The last role that was checked is mostly the next one, too. */
		id = orgusers_row_uuid(trigger, row, "role_id");
		if (orgusers_checked_already(trigger, &org->taken_checked) &&
			orgusers_compare_uuids(&id, &org->taken_role) == 0)
			return false;
		org->taken_role = id;
		return orgusers_find_row_of(&by_role,
									TOO_FEW("SELECT r.template FROM orgusers.roles r"
											" WHERE r.org_id = o.id AND r.id = $2"),
									&org->org_id, &id);
	}
	id = orgusers_row_uuid(trigger, row, "user_id");
	return orgusers_find_row_of(&by_member,
								TOO_FEW("SELECT r.template"
										" FROM orgusers.membership_roles mr"
										" JOIN orgusers.roles r ON r.org_id = mr.org_id"
										"  AND r.id = mr.role_id"
										" WHERE mr.org_id = o.id AND mr.user_id = $2"),
								&org->org_id, &id);
}

static void
check_holders(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr too_many = NULL;
	static SPIPlanPtr most_plan = NULL;

	SPI_connect();
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		too_few_left(trigger, org))
		ereport(ERROR,
				(errcode(ERRCODE_OU_TOO_FEW_HOLDERS),
				 errmsg("the role %s would be left with too few users",
						orgusers_found_text(1)),
				 errdetail("The least number of active users who hold it is %s.",
						   orgusers_found_text(2)),
				 errhint("Give the role to another user first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	/* As with the seats: most policies have no such role. */
	if (!orgusers_checked_already(trigger, &org->added_checked) &&
		orgusers_find_row(&most_plan,
						  "SELECT FROM orgusers.organizations o"
						  " JOIN orgusers.role_templates t ON t.policy = o.policy"
						  " WHERE o.id = $1 AND t.most_holders IS NOT NULL",
						  &org->org_id) &&
		orgusers_find_row(&too_many,
						  "SELECT t.name, t.most_holders FROM orgusers.organizations o"
						  " JOIN orgusers.role_templates t ON t.policy = o.policy"
						  " WHERE o.id = $1 AND t.most_holders IS NOT NULL AND "
						  COUNT_HOLDERS("t.most_holders + 1") " > t.most_holders",
						  &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_TOO_MANY_HOLDERS),
				 errmsg("the role %s would have too many users",
						orgusers_found_text(1)),
				 errdetail("The greatest number of active users who can hold it is %s.",
						   orgusers_found_text(2)),
				 errhint("Take the role from another user first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

/*
 * orgusers_holders_check
 *		Constraint trigger: least and most holders of the policy's roles.
 *
 * Raises OU303, OU304.
 */
Datum
orgusers_holders_check(PG_FUNCTION_ARGS)
{
	return orgusers_for_each_org(fcinfo, check_holders);
}
