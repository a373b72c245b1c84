-- The users' directory entries: one per person, shared by all organizations.

CREATE FUNCTION orgusers.is_avatar_url(avatar_url text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN char_length(avatar_url) <= 2000 AND avatar_url ~ '^(https?://|/)[^[:cntrl:][:space:]]*$';
END $$;
COMMENT ON FUNCTION orgusers.is_avatar_url(text) IS 'Whether a text can be the address of a picture: http, https or a path, at most 2000 characters, no blanks. Any other scheme, such as javascript:, is refused. Internal';

CREATE FUNCTION orgusers.is_locale(locale text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_is_locale';
COMMENT ON FUNCTION orgusers.is_locale(text) IS 'Whether a text has the form of a BCP 47 language tag such as en, de-AT or zh-Hant-TW, at most 35 characters. Internal';

-- Shared by all organizations and replicated whole: refers to nothing that an organization owns.
CREATE TABLE orgusers.users (
    id                uuid PRIMARY KEY DEFAULT orgusers.new_id(),
    email             orgusers.email NOT NULL UNIQUE,
    display_name      text CHECK (orgusers.is_name(display_name)),
    avatar_url        text CHECK (orgusers.is_avatar_url(avatar_url)),
    locale            text NOT NULL DEFAULT 'en' CHECK (orgusers.is_locale(locale)),
    email_verified_at timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE orgusers.users IS 'Everybody who can sign in. How they prove who they are is the application''s business; no passwords are kept here';
COMMENT ON COLUMN orgusers.users.id IS 'What identity, memberships and the sub claim of an assertion name';
COMMENT ON COLUMN orgusers.users.email IS 'Compared without case; one address belongs to one user';
COMMENT ON COLUMN orgusers.users.display_name IS 'Name that others see; NULL if unknown';
COMMENT ON COLUMN orgusers.users.avatar_url IS 'Address of the user''s picture, or NULL';
COMMENT ON COLUMN orgusers.users.locale IS 'BCP 47 tag of the language that mails to the user are written in';
COMMENT ON COLUMN orgusers.users.email_verified_at IS 'When the user proved to own the address; NULL if not, or not since it changed';
SELECT pg_extension_config_dump('orgusers.users', '');

CREATE FUNCTION orgusers.check_profile(display_name text, avatar_url text, locale text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT orgusers.is_name(display_name) THEN
        RAISE EXCEPTION 'not a display name'
            USING ERRCODE = 'OU106', HINT = 'A display name has 1 to 200 characters, no control characters, and no blank at either end.';
    ELSIF NOT orgusers.is_avatar_url(avatar_url) THEN
        RAISE EXCEPTION 'not an avatar''s address'
            USING ERRCODE = 'OU106', HINT = 'It begins with https://, http:// or /, and has at most 2000 characters and no blanks.';
    ELSIF NOT orgusers.is_locale(locale) THEN
        RAISE EXCEPTION 'not a locale'
            USING ERRCODE = 'OU106', HINT = 'A locale is a BCP 47 language tag such as en or de-AT.';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.check_profile(text, text, text) IS 'Raises OU106 for a display name, avatar address or locale that a user cannot have; NULL passes. Tables say the same with their constraints, whose messages would show the row. Internal';

CREATE FUNCTION orgusers.register_user(
    email orgusers.email, display_name text DEFAULT NULL, id uuid DEFAULT NULL,
    email_verified boolean DEFAULT false, locale text DEFAULT 'en'
) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    registered uuid;
BEGIN
    IF email IS NULL THEN
        RAISE EXCEPTION 'a user needs an e-mail address' USING ERRCODE = 'OU201';
    END IF;
    PERFORM orgusers.check_profile(display_name, NULL, locale);
    INSERT INTO orgusers.users AS u (id, email, display_name, locale, email_verified_at)
    VALUES (coalesce(register_user.id, orgusers.new_id()), register_user.email, register_user.display_name,
            coalesce(register_user.locale, 'en'), CASE WHEN email_verified THEN now() END)
    ON CONFLICT DO NOTHING
    RETURNING u.id INTO registered;
    IF registered IS NULL THEN
        RAISE EXCEPTION 'the address or id belongs to another user' USING ERRCODE = 'OU107';
    END IF;
    RETURN registered;
END
$$;
COMMENT ON FUNCTION orgusers.register_user(orgusers.email, text, uuid, boolean, text) IS 'Makes a user''s directory entry and returns its id, a new one unless given. email_verified says that the application has proof that the user owns the address. For trusted servers. OU107 if the address or id is in use, OU106 for a bad name or locale, OU201 without an address';

CREATE FUNCTION orgusers.set_email_verified(user_id uuid, email orgusers.email) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE orgusers.users u
       SET email_verified_at = coalesce(u.email_verified_at, now())
     WHERE u.id = set_email_verified.user_id
       AND u.email = set_email_verified.email;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such user with that address' USING ERRCODE = 'OU007';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.set_email_verified(uuid, orgusers.email) IS 'Records that the user has proven to own the address. For trusted servers. OU007 if there is no such user, or if the user''s address is another one by now; then nothing changes';

CREATE FUNCTION orgusers.change_email(user_id uuid, new_email orgusers.email, verified boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF new_email IS NULL THEN
        RAISE EXCEPTION 'a user needs an e-mail address' USING ERRCODE = 'OU201';
    END IF;
    UPDATE orgusers.users u
       SET email = new_email,
           email_verified_at = CASE
               WHEN u.email = new_email AND u.email_verified_at IS NOT NULL THEN u.email_verified_at
               WHEN verified THEN now()
           END
     WHERE u.id = change_email.user_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such user' USING ERRCODE = 'OU007';
    END IF;
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'the address belongs to another user' USING ERRCODE = 'OU107';
END
$$;
COMMENT ON FUNCTION orgusers.change_email(uuid, orgusers.email, boolean) IS 'Gives the user another address, unproven unless verified is true; the same address in other letters stays as proven as it was. For trusted servers. OU007 for an unknown user, OU107 if the address is another user''s, OU201 without an address, OU307 if it is invited elsewhere in a tree with unique_in_tree that the user is in';
