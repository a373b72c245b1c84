/*
 * truncate.c
 *		TRUNCATE trigger: no table is emptied under its organizations.
 */
#include "orgusers.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(orgusers_truncate_check);

/*
 * orgusers_truncate_check
 *		TRUNCATE trigger: the tables that the invariants are about can only be
 *		emptied together with the organizations.
 *
 * Raises OU305.
 */
Datum
orgusers_truncate_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER TRUNCATE trigger")));

	SPI_connect();
	if (SPI_execute("SELECT FROM orgusers.organizations", false, 1) < 0)
		elog(ERROR, "could not look for organizations");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OU_TRUNCATE),
				 errmsg("table %s cannot be truncated while there are organizations",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("DELETE the rows, or TRUNCATE orgusers.organizations CASCADE.")));
	SPI_finish();
	return PointerGetDatum(NULL);
}
