/*
 * assertion.c
 *		Fuzzes signed assertions: the compact form, the JSON of header and
 *		claims, and the signature, which no input may pass.
 */
#include "postgres.h"

#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "mb/pg_wchar.h"

#include "identity/assertion.h"
#include "memory.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char key[32];
	static int	ready = -1;
	char	   *text = malloc(size + 1);
	OrgusersAssertion assertion = {0};
	OrgusersHeader header = {0};
	OrgusersClaims claims = {0};

	if (ready < 0)
	{
		ready = sodium_init();
		randombytes_buf(key, sizeof(key));
	}
	memcpy(text, data, size);
	text[size] = '\0';

	if (orgusers_assertion_split(text, size, &assertion) == NULL)
	{
		MUST(assertion.signed_length <= size);
		(void) orgusers_assertion_is_utf8(&assertion.header);
		MUST(!orgusers_assertion_verify(&assertion, ORGUSERS_ALGORITHM_EDDSA, key, sizeof(key)));
		MUST(!orgusers_assertion_verify(&assertion, ORGUSERS_ALGORITHM_HS256, key, sizeof(key)));
	}

	/* As if the signature had been right. */
	if (orgusers_assertion_is_utf8(&(OrgusersBytes) {text, size}))
	{
		if (orgusers_assertion_header(text, size, PG_UTF8, &header) == NULL)
			MUST(header.kid != NULL);
		if (orgusers_assertion_claims(text, size, PG_UTF8, &claims) == NULL)
		{
			MUST(claims.audience_count >= 0 && claims.audience_count <= ORGUSERS_ASSERTION_MAX_MEMBERS);
			MUST(claims.expires_at <= ORGUSERS_ASSERTION_MAX_TIME);
			(void) orgusers_claims_directed(&claims, "app", NULL);
			(void) orgusers_claims_current(&claims, 1e9, 60);
		}
	}
	free(text);
	forget_memory();
	return 0;
}
