/*
 * compat.h
 *		What differs between the supported PostgreSQL versions, named by feature.
 */
#ifndef ORGUSERS_COMPAT_H
#define ORGUSERS_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "orgusers supports PostgreSQL 15 to 18"
#endif

/*
 * Soft input errors (16+).  Before, an input function can only throw; the
 * expression after the context is what the function returns when it did not.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define ORGUSERS_ESCONTEXT(fcinfo) ((fcinfo)->context)
#else
#define ORGUSERS_ESCONTEXT(fcinfo) NULL
#define ereturn(context, dummy, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy; \
	} while (0)
#endif

/* varatt.h was split off postgres.h in 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * The JSON parser: callbacks return a result since 16, the lexer's constructor
 * takes room for it first since 17.
 */
#if PG_VERSION_NUM >= 170000
#define ORGUSERS_JSON_LEXER(json, length, encoding) \
	makeJsonLexContextCstringLen(NULL, json, length, encoding, true)
#else
#define ORGUSERS_JSON_LEXER(json, length, encoding) \
	makeJsonLexContextCstringLen(unconstify(char *, json), (int) (length), \
								 encoding, true)
#endif
#if PG_VERSION_NUM >= 160000
#define ORGUSERS_JSON_RESULT JsonParseErrorType
#define ORGUSERS_JSON_GO_ON return JSON_SUCCESS
#else
#define ORGUSERS_JSON_RESULT void
#define ORGUSERS_JSON_GO_ON return
#endif

/* The executor is told to run just once no more since 18. */
#if PG_VERSION_NUM >= 180000
#define ORGUSERS_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count
#define ORGUSERS_RUN_ARGUMENTS query, direction, count
#else
#define ORGUSERS_RUN_PARAMETERS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define ORGUSERS_RUN_ARGUMENTS query, direction, count, execute_once
#endif

/* An index scan can be counted by who asks since 18. */
#if PG_VERSION_NUM >= 180000
#define ORGUSERS_INDEX_BEGINSCAN(table, index, snapshot, keys) \
	index_beginscan(table, index, snapshot, NULL, keys, 0)
#else
#define ORGUSERS_INDEX_BEGINSCAN(table, index, snapshot, keys) \
	index_beginscan(table, index, snapshot, keys, 0)
#endif

/* An update says which indexes want the new version, not only whether, since 16. */
#if PG_VERSION_NUM >= 160000
#define ORGUSERS_UPDATED_INDEXES TU_UpdateIndexes
#define ORGUSERS_UPDATE_INDEXES(target, row, estate, updated) \
	(void) ExecInsertIndexTuples(target, row, estate, true, false, NULL, NIL, \
								 (updated) == TU_Summarizing)
#else
#define ORGUSERS_UPDATED_INDEXES bool
#define ORGUSERS_UPDATE_INDEXES(target, row, estate, updated) \
	((void) (updated), \
	 (void) ExecInsertIndexTuples(target, row, estate, true, false, NULL, NIL))
#endif

#endif							/* ORGUSERS_COMPAT_H */
