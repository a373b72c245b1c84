-- Everything below names its schema; nothing is found by a path that somebody else can write to.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Made here, not by the control file: a schema of that name that somebody else has prepared is refused.
CREATE SCHEMA orgusers;
COMMENT ON SCHEMA orgusers IS 'Users of organizations: directory, rights, invitations, billing contact and mail';

CREATE FUNCTION orgusers.version() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_version';
COMMENT ON FUNCTION orgusers.version() IS 'Version of the loaded library; equals the installed extension''s after ALTER EXTENSION UPDATE. Anybody may call it';
