/*
 * log.h
 *		One line to standard error for each event.
 */
#ifndef MAILER_LOG_H
#define MAILER_LOG_H

#include <stddef.h>

extern void log_line(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void copy_clean(char *to, size_t to_size, const char *from,
					   size_t from_length);

#endif							/* MAILER_LOG_H */
