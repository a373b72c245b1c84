/*
 * deliver.h
 *		Delivery to the SMTP server.
 */
#ifndef MAILER_DELIVER_H
#define MAILER_DELIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "compose.h"

typedef struct smtp_options
{
	const char *url;			/* smtp://host[:port] or smtps://host[:port] */
	const char *helo;			/* NULL: the machine's name */
	const char *ca_file;		/* NULL: the system's authorities */
	const char *user;			/* NULL: no AUTH */
	const char *password;
	bool		require_tls;
	int			timeout;		/* seconds for one mail, connecting included */
} smtp_options;

typedef enum delivery_outcome
{
	DELIVERY_DONE,
	DELIVERY_TEMPORARY,			/* worth trying again */
	DELIVERY_PERMANENT			/* the server refuses this mail for good */
} delivery_outcome;

typedef struct smtp_session smtp_session;

extern bool deliver_init(void);
extern bool deliver_check_url(const char *url);
extern smtp_session *deliver_open(const smtp_options *options);
extern delivery_outcome deliver_message(smtp_session *session,
										const char *from, const char *to,
										const composed_message *message,
										char *error, size_t error_size);
extern void deliver_close(smtp_session *session);

#endif							/* MAILER_DELIVER_H */
