-- Public keys of mailers: what an invitation's token is sealed with until the mailer sends it.

CREATE FUNCTION orgusers.decode_mailer_key(public_key text) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_decode_mailer_key';
COMMENT ON FUNCTION orgusers.decode_mailer_key(text) IS 'The bytes of a public key as orgusers-mailer keygen prints it; OU402 if it cannot be used. Internal';

CREATE FUNCTION orgusers.mailer_key_id(public_key bytea) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_mailer_key_id_text';
COMMENT ON FUNCTION orgusers.mailer_key_id(bytea) IS 'The id of a public key: 16 hexadecimal digits of its hash; OU402 if the key cannot be used. Internal';

CREATE TABLE orgusers.mailer_keys (
    id          text PRIMARY KEY,
    public_key  bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    CONSTRAINT mailer_keys_id_is_of_public_key CHECK (id = orgusers.mailer_key_id(public_key))
);
CREATE INDEX mailer_keys_in_use_idx ON orgusers.mailer_keys (created_at DESC, id) WHERE retired_at IS NULL;
COMMENT ON TABLE orgusers.mailer_keys IS 'Public keys of mailers; new mail is sealed for the newest that is not retired. The secret keys are with the mailers only';
COMMENT ON COLUMN orgusers.mailer_keys.id IS 'Hash of the public key; the mailer knows by it what it can open';
COMMENT ON COLUMN orgusers.mailer_keys.public_key IS 'X25519 public key, 32 bytes';
COMMENT ON COLUMN orgusers.mailer_keys.created_at IS 'When the key was added, or added again';
COMMENT ON COLUMN orgusers.mailer_keys.retired_at IS 'Since when nothing is sealed for it any more';
SELECT pg_catalog.pg_extension_config_dump('orgusers.mailer_keys', '');

-- Later than every other key whatever the clock says, so that it is the one in use.
CREATE FUNCTION orgusers.add_mailer_key(public_key text) RETURNS text
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO orgusers.mailer_keys AS k (id, public_key, created_at)
    SELECT orgusers.mailer_key_id(d.key), d.key,
           greatest(clock_timestamp(), (SELECT max(o.created_at) + interval '1 microsecond' FROM orgusers.mailer_keys o))
      FROM orgusers.decode_mailer_key(add_mailer_key.public_key) AS d(key)
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, retired_at = NULL
    RETURNING k.id
$$;
COMMENT ON FUNCTION orgusers.add_mailer_key(text) IS 'Takes a public key as orgusers-mailer keygen prints it, seals new mail for it from now on, and returns its id; retires no other key, and takes a key back that is retired. For the DBA; OU402';

CREATE FUNCTION orgusers.retire_mailer_key(id text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE orgusers.mailer_keys k
       SET retired_at = coalesce(k.retired_at, now())
     WHERE k.id = retire_mailer_key.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU402',
            MESSAGE = 'no mailer key has that id',
            HINT = 'orgusers.mailer_keys lists the keys.';
    END IF;
END
$$;
COMMENT ON FUNCTION orgusers.retire_mailer_key(text) IS 'Seals no more mail for the key with that id; what is sealed already can still be sent. For the DBA; OU402 if there is no such key';

CREATE FUNCTION orgusers.mailer_key() RETURNS orgusers.mailer_keys
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    in_use orgusers.mailer_keys;
BEGIN
    SELECT * INTO in_use FROM orgusers.mailer_keys k WHERE k.retired_at IS NULL ORDER BY k.created_at DESC, k.id LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no mailer key to seal the invitation token with'
            USING ERRCODE = 'OU401',
                  HINT = 'Run "orgusers-mailer keygen --out FILE" and register the public key with orgusers.add_mailer_key.';
    END IF;
    RETURN in_use;
END
$$;
COMMENT ON FUNCTION orgusers.mailer_key() IS 'The key that new mail is sealed with: the newest that is not retired, or OU401. Internal';

CREATE FUNCTION orgusers.seal_invitation(
    public_key bytea, org_id uuid, invitation_id uuid, email orgusers.email,
    expires_at timestamptz, token orgusers.invitation_token) RETURNS bytea
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_seal_invitation';
COMMENT ON FUNCTION orgusers.seal_invitation(bytea, uuid, uuid, orgusers.email, timestamptz, orgusers.invitation_token) IS
    'What the mailer needs to send an invitation, sealed with its public key; OU402 if the key cannot be used. Internal';
