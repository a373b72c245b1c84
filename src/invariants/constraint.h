/*
 * constraint.h
 *		What the constraint triggers of the invariants share.
 *
 * Each takes the organization's lock (touched.h), then reads with a new
 * command what the organization is like now.  They are declared SECURITY
 * DEFINER with a pinned search_path, so they see the whole tables whoever
 * writes.  They check data only: who may do something is decided in the call,
 * never here, where a deferred check may run under another identity.
 *
 * A restore loads table after table.  The seats are checked when users or a
 * plan arrive, the least holders only when something is taken away, so that
 * every step of a restore passes with all triggers in force.
 */
#ifndef ORGUSERS_CONSTRAINT_H
#define ORGUSERS_CONSTRAINT_H

#include "invariants/touched.h"

#include "commands/trigger.h"
#include "executor/spi.h"

typedef void (*OrgusersCheck) (TriggerData *trigger, OrgusersTouched *org);

/* What a trigger was fired for. */
extern void orgusers_require_after_row(FunctionCallInfo fcinfo);
extern HeapTuple orgusers_new_row(TriggerData *trigger);
extern pg_uuid_t orgusers_row_uuid(TriggerData *trigger, HeapTuple row,
								   const char *column);
extern CommandId orgusers_command_of(TriggerData *trigger);

/* Running a check, and that once a command. */
extern Datum orgusers_for_each_org(FunctionCallInfo fcinfo,
								   OrgusersCheck check);
extern bool orgusers_checked_already(TriggerData *trigger, CommandId *checked);

/* Looking for a row that breaks a rule; the caller is connected to SPI. */
extern bool orgusers_find_row(SPIPlanPtr *plan, const char *query,
							  const pg_uuid_t *org_id);
extern bool orgusers_find_row_of(SPIPlanPtr *plan, const char *query,
								 const pg_uuid_t *org_id, const pg_uuid_t *id);
extern bool orgusers_find_row_by(SPIPlanPtr *plan, const char *query,
								 Oid type, Datum *args);
extern char *orgusers_found_text(int column);

#endif							/* ORGUSERS_CONSTRAINT_H */
