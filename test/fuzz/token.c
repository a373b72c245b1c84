/*
 * token.c
 *		Fuzzes the text form of invitation tokens: what is accepted is what
 *		would be printed for it, and every fault has its sentence.
 */
#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "invitations/token_codec.h"

/* Text of a token with these bytes in it, one of its characters changed. */
static void
near_miss(const uint8_t *data, size_t size)
{
	OrgusersToken token;
	OrgusersToken again;
	unsigned char organization[16] = {0};
	char		text[ORGUSERS_TOKEN_TEXT_LEN + 1];
	char		changed[ORGUSERS_TOKEN_TEXT_LEN + 1];
	size_t		place;

	if (size < 2)
		return;
	memcpy(organization, data, size < 16 ? size : 16);
	orgusers_token_make(&token, organization);
	orgusers_token_format(&token, text);
	MUST(orgusers_token_parse(text, strlen(text), &again) == ORGUSERS_TOKEN_OK);
	MUST(memcmp(&token, &again, sizeof(token)) == 0);

	memcpy(changed, text, sizeof(text));
	place = data[0] % ORGUSERS_TOKEN_TEXT_LEN;
	changed[place] = (char) data[1];
	if (changed[place] != text[place])
		MUST(orgusers_token_parse(changed, ORGUSERS_TOKEN_TEXT_LEN, &again) != ORGUSERS_TOKEN_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int	ready = -1;
	OrgusersToken token;
	OrgusersTokenFault fault;
	char		text[ORGUSERS_TOKEN_TEXT_LEN + 1];

	if (ready < 0)
		ready = sodium_init();
	fault = orgusers_token_parse((const char *) data, size, &token);
	if (fault == ORGUSERS_TOKEN_OK)
	{
		orgusers_token_format(&token, text);
		MUST(size == ORGUSERS_TOKEN_TEXT_LEN && memcmp(text, data, size) == 0);
		MUST(orgusers_token_check(&token) == ORGUSERS_TOKEN_OK);
	}
	else
		MUST(orgusers_token_fault_sentence(fault) != NULL);
	if (size >= sizeof(token))
	{
		memcpy(&token, data, sizeof(token));
		(void) orgusers_token_check(&token);
	}
	near_miss(data, size);
	return 0;
}
