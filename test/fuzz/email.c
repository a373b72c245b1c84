/*
 * email.c
 *		Fuzzes the syntax of e-mail addresses: what is accepted is compared
 *		with the rules, written down once more and plainly.
 */
#include "fuzz.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "invitations/email_syntax.h"

static bool
is_alnum(uint8_t c)
{
	return c < 0x80 && isalnum(c);
}

/* Whether an address is valid. */
static bool
valid(const uint8_t *address, size_t size)
{
	size_t		at = 0;
	size_t		label = 0;

	while (at < size && address[at] != '@')
	{
		if (!is_alnum(address[at]) &&
			(address[at] == '\0' || strchr(".!#$%&'*+/=?^_`{|}~-", address[at]) == NULL))
			return false;
		at++;
	}
	if (at == 0 || at > 64 || at >= size || size > 254)
		return false;
	for (size_t i = at + 1; i <= size; i++)
	{
		if (i == size || address[i] == '.')
		{
			if (label == 0 || label > 63 || address[i - 1] == '-' || address[i - label] == '-')
				return false;
			label = 0;
		}
		else if (is_alnum(address[i]) || address[i] == '-')
			label++;
		else
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *fault = orgusers_email_fault((const char *) data, size);

	MUST((fault == NULL) == valid(data, size));
	return 0;
}
