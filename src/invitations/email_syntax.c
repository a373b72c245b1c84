/*
 * email_syntax.c
 *		What is a valid e-mail address, as the HTML standard says, with SMTP's
 *		limits of length.
 */
#include "invitations/email_syntax.h"

#include <stdbool.h>
#include <string.h>

#define EMAIL_MAX_LEN	254		/* bytes */
#define LOCAL_MAX_LEN	64
#define LABEL_MAX_LEN	63

#define LETTERS_AND_DIGITS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define LOCAL_CHARS		LETTERS_AND_DIGITS ".!#$%&'*+/=?^_`{|}~-"
#define LABEL_CHARS		LETTERS_AND_DIGITS "-"

/*
 * only
 *		Returns whether each of the len bytes is one of the characters.
 */
static bool
only(const char *bytes, size_t len, const char *characters)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == '\0' || strchr(characters, bytes[i]) == NULL)
			return false;
	return true;
}

/*
 * character_fault
 *		Returns a sentence on the first byte that no address contains, or NULL.
 */
static const char *
character_fault(const char *address, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = address[i];

		if (c == ' ' || (c >= '\t' && c <= '\r'))
			return "There is white space in it.";
		if (c < ' ' || c == 0x7F)
			return "There is a control character in it.";
		if (c > 0x7F)
			return "There is a character in it that is not ASCII; a domain is written in its ASCII form (xn--...).";
	}
	return NULL;
}

/*
 * domain_fault
 *		Returns a sentence on what is wrong with the part after the @, or NULL.
 */
static const char *
domain_fault(const char *domain, size_t len)
{
	const char *end = domain + len;

	if (len == 0)
		return "There is nothing after the @.";
	if (memchr(domain, '@', len) != NULL)
		return "There is more than one @ in it.";

	for (;;)
	{
		const char *dot = memchr(domain, '.', end - domain);
		size_t		label_len = (dot ? dot : end) - domain;

		if (label_len == 0)
			return "The domain begins or ends with a dot, or has two in a row.";
		if (label_len > LABEL_MAX_LEN)
			return "A part of the domain is longer than 63 bytes.";
		if (!only(domain, label_len, LABEL_CHARS))
			return "The domain contains something other than letters, digits, hyphens and dots.";
		if (domain[0] == '-' || domain[label_len - 1] == '-')
			return "A part of the domain begins or ends with a hyphen.";
		if (dot == NULL)
			return NULL;
		domain = dot + 1;
	}
}

/*
 * orgusers_email_fault
 *		Returns a sentence on what is wrong with the address, or NULL if it is
 *		valid.  Looks at a few hundred bytes at most, however long it is.
 */
const char *
orgusers_email_fault(const char *address, size_t len)
{
	const char *at;
	const char *fault;
	size_t		local_len;

	if (len == 0)
		return "It is empty.";
	if (len > EMAIL_MAX_LEN)
		return "It is longer than 254 bytes.";
	fault = character_fault(address, len);
	if (fault != NULL)
		return fault;

	at = memchr(address, '@', len);
	if (at == NULL)
		return "There is no @ in it.";
	local_len = at - address;
	if (local_len == 0)
		return "There is nothing before the @.";
	if (local_len > LOCAL_MAX_LEN)
		return "The part before the @ is longer than 64 bytes.";
	if (!only(address, local_len, LOCAL_CHARS))
		return "The part before the @ contains something other than letters, digits and .!#$%&'*+/=?^_`{|}~-.";
	return domain_fault(at + 1, len - local_len - 1);
}
