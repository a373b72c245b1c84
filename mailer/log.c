/*
 * log.c
 *		Writes log lines that nothing outside can forge or break.
 *
 * Callers never pass keys, tokens, links, bodies or passwords.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * copy_clean
 *		Copies at most to_size - 1 bytes, each control character as a space
 *		and what is beyond ASCII (in whatever encoding a server answers, or
 *		cut) as a question mark, without blanks at the end, and terminates
 *		the copy.
 */
void
copy_clean(char *to, size_t to_size, const char *from, size_t from_length)
{
	size_t		length = 0;

	while (length < from_length && length < to_size - 1 && from[length] != '\0')
	{
		unsigned char c = (unsigned char) from[length];

		to[length++] = (c < 0x20 || c == 0x7f) ? ' ' : c > 0x7f ? '?' : (char) c;
	}
	while (length > 0 && to[length - 1] == ' ')
		length--;
	to[length] = '\0';
}

/*
 * log_line
 *		Writes one line to standard error, cut at 1 KiB.
 */
void
log_line(const char *format,...)
{
	char		raw[1024];
	char		clean[1024];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);

	copy_clean(clean, sizeof(clean), raw, strlen(raw));
	fprintf(stderr, "orgusers-mailer: %s\n", clean);
}
