/*
 * keys.c
 *		Makes and loads the mailer's secrets, which lie in files of their own.
 *
 * A key file is one line: the secret X25519 key in base64.
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "log.h"

#define BASE64_KEY_SIZE \
	sodium_base64_ENCODED_LEN(ORGUSERS_MAILER_KEY_LEN, \
							  sodium_base64_VARIANT_ORIGINAL)

/* Longest line in a secret's file, with room for its end and the zero. */
#define SECRET_SIZE 1024

/* Writes all bytes to a descriptor; returns false with errno otherwise. */
static bool
write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0)
	{
		ssize_t		written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		length -= (size_t) written;
	}
	return true;
}

/*
 * keys_generate
 *		Makes a key pair, writes the secret key to a new file that only its
 *		owner can read, and prints the public key and the SQL that registers it.
 *
 * Returns an exit code: EX_CANTCREAT when the file exists or cannot be written.
 */
int
keys_generate(const char *path)
{
	unsigned char public_key[ORGUSERS_MAILER_KEY_LEN];
	char		public_text[BASE64_KEY_SIZE];
	char		id[ORGUSERS_MAILER_KEY_ID_LEN + 1];
	unsigned char *secret_key;
	char	   *secret_text;
	int			fd;
	bool		written;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
	{
		log_line("could not create key file \"%s\": %s", path, strerror(errno));
		return EX_CANTCREAT;
	}

	secret_key = sodium_malloc(ORGUSERS_MAILER_KEY_LEN);
	secret_text = sodium_malloc(BASE64_KEY_SIZE + 1);
	if (secret_key == NULL || secret_text == NULL)
	{
		log_line("out of memory");
		sodium_free(secret_key);
		sodium_free(secret_text);
		close(fd);
		unlink(path);
		return EX_OSERR;
	}

	crypto_box_keypair(public_key, secret_key);
	sodium_bin2base64(secret_text, BASE64_KEY_SIZE, secret_key,
					  ORGUSERS_MAILER_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
	strcat(secret_text, "\n");
	written = write_all(fd, secret_text, strlen(secret_text)) &&
		fsync(fd) == 0;
	if (close(fd) != 0)
		written = false;
	sodium_free(secret_key);
	sodium_free(secret_text);

	if (!written)
	{
		log_line("could not write key file \"%s\": %s", path, strerror(errno));
		unlink(path);
		return EX_CANTCREAT;
	}

	sodium_bin2base64(public_text, sizeof(public_text), public_key,
					  sizeof(public_key), sodium_base64_VARIANT_ORIGINAL);
	orgusers_mailer_key_id(public_key, id);
	printf("%s\n"
		   "-- key %s; register it in the database:\n"
		   "SELECT orgusers.add_mailer_key('%s');\n",
		   public_text, id, public_text);
	if (fflush(stdout) != 0)
	{
		log_line("could not print the public key of \"%s\": %s", path,
				 strerror(errno));
		unlink(path);
		return EX_IOERR;
	}
	return EX_OK;
}

/*
 * Reads the first line of a file that others cannot read.  Returns it in
 * sodium_malloc'ed memory, without its end, or NULL after logging why not.
 */
static char *
read_secret_line(const char *path)
{
	struct stat status;
	mode_t		forbidden = S_IRWXG | S_IRWXO;
	size_t		length = 0;
	char	   *line = NULL;
	int			fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &status) != 0)
	{
		log_line("could not open \"%s\": %s", path, strerror(errno));
		goto fail;
	}
	if (!S_ISREG(status.st_mode))
	{
		log_line("\"%s\" is not a regular file", path);
		goto fail;
	}
	if (status.st_uid != geteuid() && status.st_uid != 0)
	{
		log_line("\"%s\" belongs to somebody else", path);
		goto fail;
	}
	/* One that root lends to our group, as systemd does, is fine. */
	if (status.st_uid == 0 && geteuid() != 0)
		forbidden &= ~(mode_t) S_IRGRP;
	if ((status.st_mode & forbidden) != 0)
	{
		log_line("\"%s\" is accessible to others; chmod 600 it", path);
		goto fail;
	}

	line = sodium_malloc(SECRET_SIZE);
	if (line == NULL)
	{
		log_line("out of memory");
		goto fail;
	}
	while (length < SECRET_SIZE - 1)
	{
		ssize_t		n = read(fd, line + length, SECRET_SIZE - 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
		{
			log_line("could not read \"%s\": %s", path, strerror(errno));
			goto fail;
		}
		if (n == 0)
			break;
		length += (size_t) n;
	}
	line[length] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0' || length == SECRET_SIZE - 1)
	{
		log_line("\"%s\" does not begin with a line that can be a secret", path);
		goto fail;
	}
	close(fd);
	return line;

fail:
	sodium_free(line);
	if (fd >= 0)
		close(fd);
	return NULL;
}

/*
 * keys_load
 *		Loads a key pair from a file that keys_generate wrote.
 *
 * Returns false after logging why not.
 */
bool
keys_load(const char *path, mailer_key *key)
{
	char	   *text = read_secret_line(path);
	size_t		length;
	bool		valid;

	if (text == NULL)
		return false;
	key->secret_key = sodium_malloc(ORGUSERS_MAILER_KEY_LEN);
	if (key->secret_key == NULL)
	{
		log_line("out of memory");
		sodium_free(text);
		return false;
	}

	valid = sodium_base642bin(key->secret_key, ORGUSERS_MAILER_KEY_LEN, text,
							  strlen(text), NULL, &length, NULL,
							  sodium_base64_VARIANT_ORIGINAL) == 0 &&
		length == ORGUSERS_MAILER_KEY_LEN &&
		crypto_scalarmult_base(key->public_key, key->secret_key) == 0;
	sodium_free(text);
	if (!valid)
	{
		log_line("\"%s\" does not hold a mailer key", path);
		keys_free(key);
		return false;
	}
	orgusers_mailer_key_id(key->public_key, key->id);
	sodium_mprotect_readonly(key->secret_key);
	return true;
}

/*
 * keys_free
 *		Zeroes and frees a key pair.
 */
void
keys_free(mailer_key *key)
{
	sodium_free(key->secret_key);
	key->secret_key = NULL;
}

/*
 * keys_read_password
 *		Returns the password in a file, for sodium_free, or NULL after logging
 *		why there is none.
 */
char *
keys_read_password(const char *path)
{
	return read_secret_line(path);
}
