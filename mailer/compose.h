/*
 * compose.h
 *		The message that a mail becomes.
 */
#ifndef MAILER_COMPOSE_H
#define MAILER_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "database.h"

/* A message as it goes to the SMTP server, with CRLF line ends. */
typedef struct composed_message
{
	char	   *data;			/* sodium_malloc'ed: the link is in it */
	size_t		length;			/* bytes */
} composed_message;

extern void compose_init(void);
extern bool compose_message(const outbox_mail *mail, const char *link,
							const char *message_id_domain,
							composed_message *message, char *error,
							size_t error_size);
extern void compose_free(composed_message *message);

#endif							/* MAILER_COMPOSE_H */
