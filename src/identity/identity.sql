-- Who acts: the setting orgusers.user_id, which only the functions here and privileged roles can change.

CREATE FUNCTION orgusers.current_user_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'orgusers_current_user_id';
COMMENT ON FUNCTION orgusers.current_user_id() IS 'The actor, or NULL if the session is anonymous. Anybody may call it. A session''s identity is not taken back when the user is deleted: what the user could do is gone with the memberships';

CREATE FUNCTION orgusers.act_as(user_id uuid, for_session boolean DEFAULT false) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'orgusers_act_as';
COMMENT ON FUNCTION orgusers.act_as(uuid, boolean) IS 'Makes the user the actor until the end of the transaction, or with for_session until DISCARD ALL, sign_out or the end of the session; NULL makes the session anonymous. For trusted servers: whoever may call it may be anybody. As with SET, a rollback of the transaction or savepoint brings the former actor back, for_session or not, and so does the end of a function with a SET clause for orgusers.user_id itself; SET clauses for other settings do no harm. OU007 for an unknown user';

CREATE FUNCTION orgusers.sign_out() RETURNS void
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'orgusers_sign_out';
COMMENT ON FUNCTION orgusers.sign_out() IS 'Makes the transaction and the session anonymous. Anybody may call it. Undone by a rollback, as SET is: call it outside a transaction block, or commit';

CREATE FUNCTION orgusers.my_profile() RETURNS SETOF orgusers.users
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT u.* FROM orgusers.users u WHERE u.id = orgusers.current_user_id();
END;
COMMENT ON FUNCTION orgusers.my_profile() IS 'The actor''s directory entry; no row for an anonymous session. Anybody may call it';

CREATE FUNCTION orgusers.update_profile(
    display_name text DEFAULT NULL, avatar_url text DEFAULT NULL, locale text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM orgusers.require_user();
    PERFORM orgusers.check_profile(nullif(display_name, ''), nullif(avatar_url, ''), locale);
    UPDATE orgusers.users u
       SET display_name = nullif(coalesce(update_profile.display_name, u.display_name), ''),
           avatar_url = nullif(coalesce(update_profile.avatar_url, u.avatar_url), ''),
           locale = coalesce(update_profile.locale, u.locale)
     WHERE u.id = orgusers.current_user_id();
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU007', MESSAGE = 'the user who is signed in is no longer there',
            HINT = 'Sign in again.';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.update_profile(text, text, text) IS 'Changes the actor''s own display name, avatar address and locale. NULL leaves a value as it is; the empty string takes a display name or avatar away. Anybody who is signed in may call it. OU001 if nobody is, OU106 for a bad value, OU007 if the user was deleted meanwhile';

-- Keys that assertions are verified with.

CREATE TABLE orgusers.assertion_keys (
    kid             text COLLATE "C" PRIMARY KEY CHECK (char_length(kid) BETWEEN 1 AND 200),
    algorithm       text NOT NULL CHECK (algorithm IN ('EdDSA', 'HS256')),
    key             bytea NOT NULL,
    issuer          text CHECK (issuer <> ''),
    audience        text NOT NULL CHECK (audience <> ''),
    registers_users boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    retired_at      timestamptz,
    CHECK (CASE algorithm WHEN 'EdDSA' THEN octet_length(key) = 32 ELSE octet_length(key) BETWEEN 32 AND 1024 END)
);
COMMENT ON TABLE orgusers.assertion_keys IS 'Keys that sign_in verifies assertions with. Readable by the owner only: whoever reads an HS256 key can sign in as anybody. Dumps contain the EdDSA rows, whose keys are public, and never the HS256 rows: add those again after a restore. Physical backups and replicas contain both';
COMMENT ON COLUMN orgusers.assertion_keys.kid IS 'What an assertion''s header calls the key; never used for another key, retired or not';
COMMENT ON COLUMN orgusers.assertion_keys.algorithm IS 'The one algorithm that the key verifies, whatever a header says';
COMMENT ON COLUMN orgusers.assertion_keys.key IS 'EdDSA: the Ed25519 public key, 32 bytes. HS256: the shared secret, 32 to 1024 random bytes';
COMMENT ON COLUMN orgusers.assertion_keys.issuer IS 'What the iss claim must be; NULL if the claim is not looked at';
COMMENT ON COLUMN orgusers.assertion_keys.audience IS 'What the aud claim must be or contain, so that an assertion for another service cannot be used here';
COMMENT ON COLUMN orgusers.assertion_keys.registers_users IS 'The signer is trusted to make directory entries, and to say that an address is proven, see sign_in';
COMMENT ON COLUMN orgusers.assertion_keys.retired_at IS 'Since when the key verifies nothing any more; NULL while it does';
SELECT pg_extension_config_dump('orgusers.assertion_keys', $$WHERE algorithm = 'EdDSA'$$);

CREATE FUNCTION orgusers.add_assertion_key(
    kid text, algorithm text, key bytea, audience text, issuer text DEFAULT NULL, registers_users boolean DEFAULT false
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    problem text := CASE
        WHEN kid IS NULL OR char_length(kid) NOT BETWEEN 1 AND 200 THEN 'A kid has 1 to 200 characters.'
        WHEN algorithm IS NULL OR algorithm NOT IN ('EdDSA', 'HS256') THEN 'The algorithm is EdDSA or HS256.'
        WHEN key IS NULL THEN 'There is no key.'
        WHEN algorithm = 'EdDSA' AND octet_length(key) <> 32 THEN 'An Ed25519 public key has 32 bytes.'
        WHEN octet_length(key) NOT BETWEEN 32 AND 1024 THEN 'An HS256 secret has 32 to 1024 bytes.'
        WHEN coalesce(audience, '') = '' THEN 'The audience is missing.'
        WHEN issuer = '' THEN 'The issuer is empty.'
    END;
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'not a usable assertion key' USING ERRCODE = 'OU008', DETAIL = problem;
    END IF;
    INSERT INTO orgusers.assertion_keys (kid, algorithm, key, audience, issuer, registers_users)
    VALUES (add_assertion_key.kid, add_assertion_key.algorithm, add_assertion_key.key, add_assertion_key.audience,
            add_assertion_key.issuer, coalesce(add_assertion_key.registers_users, false))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is, or was, a key of that kid' USING ERRCODE = 'OU107';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.add_assertion_key(text, text, bytea, text, text, boolean) IS 'Makes sign_in accept assertions signed with the key, see the table assertion_keys. For the database''s owner. The server log gets an HS256 secret if it logs statements or their parameters: pass the secret as a bound parameter, and SET LOCAL log_statement = none, log_min_duration_statement = -1, log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0 for the call. OU008 for a key that cannot be used, OU107 if the kid was used before';

CREATE FUNCTION orgusers.retire_assertion_key(kid text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE orgusers.assertion_keys k
       SET retired_at = coalesce(k.retired_at, clock_timestamp())
     WHERE k.kid = retire_assertion_key.kid;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no key of that kid' USING ERRCODE = 'OU008';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.retire_assertion_key(text) IS 'Makes sign_in refuse whatever the key signed, from the commit on, in open transactions too. Identities that it gave before stay until they end by themselves. For the database''s owner. OU008 if there is no such key';

CREATE FUNCTION orgusers.user_from_claims(
    user_id uuid, email text, email_verified boolean, display_name text, locale text
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    address orgusers.email;
    unproven boolean;
BEGIN
    BEGIN
        address := email::orgusers.email;
    EXCEPTION WHEN SQLSTATE 'OU201' THEN
        -- The type's own message repeats the claim.
        RAISE EXCEPTION 'the assertion''s email claim is not an e-mail address' USING ERRCODE = 'OU201';
    END;
    SELECT u.email_verified_at IS NULL AND u.email = address
      INTO unproven
      FROM orgusers.users u
     WHERE u.id = user_from_claims.user_id;
    IF NOT FOUND THEN
        display_name := nullif(btrim(display_name), '');
        PERFORM orgusers.check_profile(display_name, NULL, locale);
        INSERT INTO orgusers.users (id, email, display_name, locale, email_verified_at)
        VALUES (user_from_claims.user_id, address, user_from_claims.display_name,
                coalesce(user_from_claims.locale, 'en'), CASE WHEN email_verified THEN now() END)
        ON CONFLICT DO NOTHING;
        -- Else the same user may have come in by another session at this moment.
        IF NOT FOUND AND NOT EXISTS (SELECT FROM orgusers.users u WHERE u.id = user_from_claims.user_id) THEN
            RAISE EXCEPTION 'the assertion''s address belongs to another user' USING ERRCODE = 'OU107';
        END IF;
    ELSIF unproven AND email_verified THEN
        UPDATE orgusers.users u
           SET email_verified_at = now()
         WHERE u.id = user_from_claims.user_id AND u.email = address AND u.email_verified_at IS NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.user_from_claims(uuid, text, boolean, text, text) IS 'What sign_in does to the directory for a key with registers_users. Internal';

-- The SET clause's nest level hands the actor on to the caller's: only a clause for orgusers.user_id would not.
CREATE FUNCTION orgusers.sign_in(assertion text, for_session boolean DEFAULT false) RETURNS uuid
    LANGUAGE c SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'orgusers_sign_in';
COMMENT ON FUNCTION orgusers.sign_in(text, boolean) IS 'Makes the user whom a signed assertion names the actor, as long as act_as does, and returns the user''s id. Anybody may call it. The assertion is a compact JWT of at most 8192 bytes: header with alg (EdDSA or HS256) and kid; claims sub (the user''s id, a uuid), exp, aud, and as needed nbf and iss; times are compared with the clock, give or take orgusers.assertion_leeway seconds. A key with registers_users also makes a directory entry, unless there is one, from the claims email, email_verified (true only counts), name and locale, and records a first proof of the same address. An assertion is good for any number of calls until it expires: keep its life short. The server''s log shows it whole when it logs statements with their parameters (log_parameter_max_length = 0 leaves parameters out). OU003 if malformed, OU004 if not signed by a known key with that key''s algorithm, OU005 if expired or not valid yet, OU006 for another audience or issuer, OU007 for an unknown user, OU106, OU107 or OU201 if the directory entry cannot be made';
