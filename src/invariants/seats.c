/*
 * seats.c
 *		Constraint trigger: no more users take a seat than the plan has.
 */
#include "invariants/constraint.h"

#include "utils/rel.h"

PG_FUNCTION_INFO_V1(orgusers_seats_check);

static void
check_seats(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr lock_plan = NULL;
	static SPIPlanPtr cap_plan = NULL;
	bool		new_plan = SPI_fnumber(RelationGetDescr(trigger->tg_relation),
									   "plan") > 0;

	if (!new_plan && orgusers_checked_already(trigger, &org->seats_checked))
		return;

	SPI_connect();

	/*
	 * Who lowers a plan's seats locks the organizations that have the plan;
	 * one that is only coming to it locks the plan.
	 */
	if (new_plan)
		(void) orgusers_find_row(&lock_plan,
								 "SELECT FROM orgusers.subscriptions s"
								 " JOIN orgusers.plans p ON p.id = s.plan"
								 " WHERE s.org_id = $1 FOR SHARE OF p",
								 &org->org_id);

	/*
	 * Most plans have no cap, and to set the count up takes longer than to
	 * look.  The count stops at one more than the plan has.
	 */
	if (orgusers_find_row(&cap_plan,
						  "SELECT FROM orgusers.subscriptions s"
						  " JOIN orgusers.plans p ON p.id = s.plan"
						  " WHERE s.org_id = $1 AND p.seats IS NOT NULL",
						  &org->org_id) &&
		orgusers_find_row(&plan,
						  "SELECT p.title, p.seats"
						  " FROM orgusers.subscriptions s"
						  " JOIN orgusers.plans p ON p.id = s.plan"
						  " WHERE s.org_id = $1 AND p.seats IS NOT NULL"
						  " AND (SELECT count(*) FROM"
						  "      (SELECT FROM orgusers.memberships m"
						  "       WHERE m.org_id = s.org_id"
						  "       AND m.status = 'active' AND m.holds_seat"
						  "       LIMIT p.seats + 1) AS counted)"
						  "     > p.seats",
						  &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_SEATS_EXHAUSTED),
				 new_plan ?
				 errmsg("the organization has more users than the plan %s has seats",
						orgusers_found_text(1)) :
				 errmsg("the organization has no seat left on the plan %s",
						orgusers_found_text(1)),
				 errdetail("The plan has seats for %s active users.",
						   orgusers_found_text(2)),
				 errhint("Remove or deactivate a user, or change the plan."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

/*
 * orgusers_seats_check
 *		Constraint trigger: no more users take a seat than the plan has.
 *
 * On memberships and subscriptions, for what can raise the count or lower the
 * cap.  Raises OU301.
 */
Datum
orgusers_seats_check(PG_FUNCTION_ARGS)
{
	return orgusers_for_each_org(fcinfo, check_seats);
}
