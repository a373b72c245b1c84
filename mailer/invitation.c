/*
 * invitation.c
 *		Opens a mail's sealed token and makes its link.
 *
 * Anybody with the public key can seal a box, and boxes can be swapped between
 * rows: a box counts only if everything in it is what the row says.
 */
#include "invitation.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "mail/template.h"

/* Returns whether an id in text form is those 16 bytes. */
static bool
same_id(const char *text, const unsigned char id[16])
{
	unsigned char bytes[16];
	size_t		length;

	return text != NULL &&
		sodium_hex2bin(bytes, sizeof(bytes), text, strlen(text), "-", &length,
					   NULL) == 0 &&
		length == sizeof(bytes) && memcmp(bytes, id, sizeof(bytes)) == 0;
}

/* Returns the time in microseconds since 1970. */
static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Returns what of the envelope differs from the mail, NULL for nothing. */
static const char *
difference(const OrgusersEnvelope *envelope, const outbox_mail *mail)
{
	if (!same_id(mail->org_id, envelope->organization))
		return "sealed token is of another organization";
	if (!same_id(mail->invitation_id, envelope->invitation))
		return "sealed token is of another invitation";
	if (strcasecmp(mail->recipient, envelope->address) != 0)
		return "sealed token is for another address";
	if (mail->expires_at_us == NULL ||
		strtoll(mail->expires_at_us, NULL, 10) != envelope->expires_at)
		return "sealed token has another expiry";
	return NULL;
}

/* Value callback for the template of a link. */
static const char *
token_value(void *context, const char *name, size_t name_length,
			size_t *value_length)
{
	const char *token = context;

	if (name_length != 5 || memcmp(name, "token", 5) != 0)
		return NULL;
	*value_length = strlen(token);
	return token;
}

/* Returns the link with the token in it, for sodium_free, or NULL. */
static char *
render_link(const char *accept_url, const OrgusersToken *token)
{
	char		text[ORGUSERS_TOKEN_TEXT_LEN + 1];
	orgusers_template_error error;
	size_t		length;
	char	   *link = NULL;

	orgusers_token_format(token, text);
	if (orgusers_template_render(accept_url, strlen(accept_url),
								 ORGUSERS_TEMPLATE_TEXT, token_value, text,
								 NULL, 0, &length, &error) &&
		(link = sodium_malloc(length + 1)) != NULL)
		orgusers_template_render(accept_url, strlen(accept_url),
								 ORGUSERS_TEMPLATE_TEXT, token_value, text,
								 link, length + 1, &length, &error);
	sodium_memzero(text, sizeof(text));
	return link;
}

/*
 * invitation_link
 *		Returns the link for a mail with a sealed token, for sodium_free.
 *
 * NULL with the reason in error when the mail must not be sent; *permanent
 * says whether trying again is useless.  A key that this mailer lacks may be
 * another's, or be given to it later.
 */
char *
invitation_link(const outbox_mail *mail, const mailer_key *keys, int key_count,
				char *error, size_t error_size, bool *permanent)
{
	const mailer_key *key = NULL;
	OrgusersEnvelope envelope;
	const char *reason = NULL;
	char	   *link = NULL;

	*permanent = true;
	for (int i = 0; i < key_count && key == NULL; i++)
	{
		if (mail->mailer_key_id != NULL &&
			strcmp(keys[i].id, mail->mailer_key_id) == 0)
			key = &keys[i];
	}
	if (key == NULL)
	{
		snprintf(error, error_size, "this mailer does not have key %.16s",
				 mail->mailer_key_id ? mail->mailer_key_id : "(none)");
		*permanent = false;
		return NULL;
	}

	if (!orgusers_envelope_open(mail->sealed_token, mail->sealed_token_length,
								key->public_key, key->secret_key, &envelope))
		reason = "sealed token does not open";
	else if ((reason = difference(&envelope, mail)) != NULL)
		;
	else if (envelope.expires_at <= now_us())
		reason = "invitation has expired";
	else if (mail->accept_url == NULL)
		reason = "policy is gone";
	else if ((link = render_link(mail->accept_url, &envelope.token)) == NULL)
		reason = "policy's accept_url cannot be rendered";
	sodium_memzero(&envelope, sizeof(envelope));

	if (reason != NULL)
		snprintf(error, error_size, "%s", reason);
	return link;
}
