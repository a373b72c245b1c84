/*
 * billing_admin.c
 *		Constraint trigger: the billing admin is an active user.
 */
#include "invariants/constraint.h"

PG_FUNCTION_INFO_V1(orgusers_billing_admin_check);

static void
check_billing_admin(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;

	if (orgusers_checked_already(trigger, &org->admin_checked))
		return;

	/* That there is one on a paid plan only, the table's own CHECK says. */
	SPI_connect();
	if (orgusers_find_row(&plan,
						  "SELECT FROM orgusers.subscriptions s"
						  " JOIN orgusers.memberships m ON m.org_id = s.org_id"
						  "  AND m.user_id = s.billing_admin_id"
						  " WHERE s.org_id = $1"
						  "  AND m.status <> 'active'",
						  &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_BILLING_ADMIN),
				 errmsg("the billing admin must be an active user of the organization"),
				 errhint("Choose another billing admin first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

/*
 * orgusers_billing_admin_check
 *		Constraint trigger: the billing admin is an active user.
 *
 * Raises OU302.
 */
Datum
orgusers_billing_admin_check(PG_FUNCTION_ARGS)
{
	return orgusers_for_each_org(fcinfo, check_billing_admin);
}
