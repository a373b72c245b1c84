/*
 * template.c
 *		Fuzzes mail templates: the input is a template and the values of its
 *		placeholders.  A template that reads to its end renders, within its
 *		room, and a value breaks neither a header nor HTML.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "mail/template.h"

typedef struct Values
{
	const char *text;
	size_t		length;
	bool		asked;
} Values;

static const char *
value(void *context, const char *name, size_t name_length, size_t *value_length)
{
	Values	   *values = context;

	MUST(name_length > 0 && name_length <= ORGUSERS_TEMPLATE_NAME_MAX && name != NULL);
	values->asked = true;
	*value_length = values->length;
	return values->text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t rooms[] = {0, 1, 16, 4096, 65536};

	/*
	 * Two bytes in front say which way, into how much room, and how long the
	 * values are; every way in turn would take fifteen times as long.
	 */
	if (size < 2)
		return 0;

	orgusers_template_mode mode = (orgusers_template_mode) (data[0] % 3);
	size_t		room = rooms[data[0] / 3 % (sizeof(rooms) / sizeof(rooms[0]))];
	const char *text = (const char *) data + 2;
	size_t		length = size - 2 - data[1] % (size - 1);
	Values		values = {.text = text + length, .length = size - 2 - length};
	orgusers_template_reader reader = {.text = text, .length = length};
	orgusers_template_error error = {0};
	orgusers_template_piece piece;
	size_t		read = 0;
	bool		placeholders = false;
	char	   *out = malloc(room + 1);
	size_t		out_length = 0;
	bool		rendered;

	while (orgusers_template_next(&reader, &piece))
	{
		MUST(piece.start >= text && piece.start + piece.length <= text + length);
		MUST(piece.position <= length);
		placeholders |= piece.kind == ORGUSERS_TEMPLATE_PLACEHOLDER;
		MUST(++read <= length + 1);
	}
	MUST(reader.error.message == NULL || reader.error.position <= length);

	out[room] = '\x7f';
	rendered = orgusers_template_render(text, length, mode, value, &values,
										out, room, &out_length, &error);
	MUST(out[room] == '\x7f');
	MUST(!rendered || reader.error.message == NULL);
	if (rendered)
	{
		MUST(out_length <= room);
		MUST(values.asked == placeholders);
		if (mode == ORGUSERS_TEMPLATE_HEADER)
			for (size_t c = 0; c < out_length; c++)
				MUST(out[c] != '\n' && out[c] != '\r' && out[c] != '\0');
	}
	free(out);
	return 0;
}
