/*
 * run.h
 *		The mailer at work.
 */
#ifndef MAILER_RUN_H
#define MAILER_RUN_H

#include <stdbool.h>

#include "deliver.h"
#include "keys.h"

#define MAX_KEYS 16

/* A lease must outlast one delivery and its acknowledgement by this. */
#define LEASE_MARGIN 5			/* seconds */

typedef struct mailer_options
{
	const char *conninfo;
	smtp_options smtp;
	mailer_key	keys[MAX_KEYS];
	int			key_count;
	const char *message_id_domain;
	int			batch;			/* mails claimed at a time */
	int			poll;			/* seconds */
	int			lease;			/* seconds */
	bool		once;
} mailer_options;

extern int	run_mailer(const mailer_options *options);

#endif							/* MAILER_RUN_H */
