/*
 * orgusers.h
 *		What every C file of the extension includes.
 */
#ifndef ORGUSERS_H
#define ORGUSERS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/uuid.h"

#include "compat.h"
#include "errors.h"

#define ORGUSERS_SCHEMA "orgusers"

extern Oid	orgusers_relation(const char *name);
extern int	orgusers_compare_uuids(const void *a, const void *b);

/* Start-up of the rooms, called by _PG_init in this order. */
extern void orgusers_identity_init(void);
extern void orgusers_rights_init(void);
extern void orgusers_statement_init(void);
extern void orgusers_mail_init(void);

#endif							/* ORGUSERS_H */
