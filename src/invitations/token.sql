-- The type invitation_token: what opens an invitation. Its text output is not the token: see token_text.

CREATE TYPE orgusers.invitation_token;

CREATE FUNCTION orgusers.invitation_token_in(cstring) RETURNS orgusers.invitation_token
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_in';
COMMENT ON FUNCTION orgusers.invitation_token_in(cstring) IS 'Input of the type invitation_token: the 75 characters beginning with oui_; OU202 for anything else, without repeating it';

CREATE FUNCTION orgusers.invitation_token_out(orgusers.invitation_token) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_out';
COMMENT ON FUNCTION orgusers.invitation_token_out(orgusers.invitation_token) IS 'Output of the type invitation_token: names the organization only, because the server logs parameters with it';

CREATE FUNCTION orgusers.invitation_token_recv(internal) RETURNS orgusers.invitation_token
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_recv';
COMMENT ON FUNCTION orgusers.invitation_token_recv(internal) IS 'Binary input of the type invitation_token: its 53 bytes; OU202';

CREATE FUNCTION orgusers.invitation_token_send(orgusers.invitation_token) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_send';
COMMENT ON FUNCTION orgusers.invitation_token_send(orgusers.invitation_token) IS 'Binary output of the type invitation_token: the complete token';

CREATE TYPE orgusers.invitation_token (
    INPUT = orgusers.invitation_token_in,
    OUTPUT = orgusers.invitation_token_out,
    RECEIVE = orgusers.invitation_token_recv,
    SEND = orgusers.invitation_token_send,
    INTERNALLENGTH = 53,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE orgusers.invitation_token IS 'Invitation token: version, organization, secret and checksum; shown redacted, meant for parameters and never for columns';

CREATE FUNCTION orgusers.invitation_token_eq(orgusers.invitation_token, orgusers.invitation_token) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_eq';
COMMENT ON FUNCTION orgusers.invitation_token_eq(orgusers.invitation_token, orgusers.invitation_token) IS 'Implementation of = operator';

CREATE FUNCTION orgusers.invitation_token_ne(orgusers.invitation_token, orgusers.invitation_token) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_invitation_token_ne';
COMMENT ON FUNCTION orgusers.invitation_token_ne(orgusers.invitation_token, orgusers.invitation_token) IS 'Implementation of <> operator';

-- No order and no hash: an ordering's timing and results would tell a secret bit by bit, and without an
-- operator class a token can neither be a key nor be indexed. What is stored and looked up is the digest.
CREATE OPERATOR pg_catalog.= (
    LEFTARG = orgusers.invitation_token, RIGHTARG = orgusers.invitation_token,
    FUNCTION = orgusers.invitation_token_eq,
    COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel
);
COMMENT ON OPERATOR pg_catalog.= (orgusers.invitation_token, orgusers.invitation_token) IS 'same token, in constant time';

CREATE OPERATOR pg_catalog.<> (
    LEFTARG = orgusers.invitation_token, RIGHTARG = orgusers.invitation_token,
    FUNCTION = orgusers.invitation_token_ne,
    COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (orgusers.invitation_token, orgusers.invitation_token) IS 'other token, in constant time';

CREATE FUNCTION orgusers.new_invitation_token(org_id uuid) RETURNS orgusers.invitation_token
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_new_invitation_token';
COMMENT ON FUNCTION orgusers.new_invitation_token(uuid) IS 'A new random token of the organization. Internal';

CREATE FUNCTION orgusers.token_text(token orgusers.invitation_token) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_token_text';
COMMENT ON FUNCTION orgusers.token_text(orgusers.invitation_token) IS 'The complete text of a token, to be handed to the invitee and kept nowhere. Internal';

CREATE FUNCTION orgusers.token_organization(token orgusers.invitation_token) RETURNS uuid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_token_organization_id';
COMMENT ON FUNCTION orgusers.token_organization(orgusers.invitation_token) IS 'The organization that a token says it is of; proves nothing without the digest. Internal';

CREATE FUNCTION orgusers.token_digest(token orgusers.invitation_token) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_token_digest_bytes';
COMMENT ON FUNCTION orgusers.token_digest(orgusers.invitation_token) IS 'What is stored of a token: BLAKE2b-256 of its secret, keyed with the organization. Internal';
