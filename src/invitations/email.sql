-- The type email: a valid address in its original spelling, compared without case.

CREATE TYPE orgusers.email;

CREATE FUNCTION orgusers.email_in(cstring) RETURNS orgusers.email
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_in';
COMMENT ON FUNCTION orgusers.email_in(cstring) IS 'Input of the type email; OU201 for what the HTML standard does not call a valid e-mail address';

CREATE FUNCTION orgusers.email_out(orgusers.email) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
COMMENT ON FUNCTION orgusers.email_out(orgusers.email) IS 'Output of the type email: the spelling it was given';

CREATE FUNCTION orgusers.email_recv(internal) RETURNS orgusers.email
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_recv';
COMMENT ON FUNCTION orgusers.email_recv(internal) IS 'Binary input of the type email, held to the same rules as its text; OU201';

CREATE FUNCTION orgusers.email_send(orgusers.email) RETURNS bytea
    LANGUAGE internal STABLE STRICT PARALLEL SAFE AS 'textsend';
COMMENT ON FUNCTION orgusers.email_send(orgusers.email) IS 'Binary output of the type email';

CREATE TYPE orgusers.email (
    INPUT = orgusers.email_in,
    OUTPUT = orgusers.email_out,
    RECEIVE = orgusers.email_recv,
    SEND = orgusers.email_send,
    LIKE = pg_catalog.text
);
COMMENT ON TYPE orgusers.email IS 'E-mail address: valid by the HTML standard, at most 64 bytes before the @ and 254 in all, spelling kept, compared without case';

-- On assignment only: were it implicit, an address could be compared as text, with case.
CREATE CAST (orgusers.email AS text) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (orgusers.email AS text) IS 'The address in its original spelling';

CREATE CAST (text AS orgusers.email) WITH INOUT;
COMMENT ON CAST (text AS orgusers.email) IS 'The address that the text spells, or OU201; explicit only';

-- LEAKPROOF, so that an address is looked up by index under row level security: total, and no message says anything
-- about an argument.  The others would be, too, but the planner shows a leakproof comparison what ANALYZE has sampled
-- of rows that a policy hides, and EXPLAIN's estimates would tell one address after the other.
CREATE FUNCTION orgusers.email_eq(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_eq';
COMMENT ON FUNCTION orgusers.email_eq(orgusers.email, orgusers.email) IS 'Implementation of = operator';

CREATE FUNCTION orgusers.email_ne(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_ne';
COMMENT ON FUNCTION orgusers.email_ne(orgusers.email, orgusers.email) IS 'Implementation of <> operator';

CREATE FUNCTION orgusers.email_lt(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_lt';
COMMENT ON FUNCTION orgusers.email_lt(orgusers.email, orgusers.email) IS 'Implementation of < operator';

CREATE FUNCTION orgusers.email_le(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_le';
COMMENT ON FUNCTION orgusers.email_le(orgusers.email, orgusers.email) IS 'Implementation of <= operator';

CREATE FUNCTION orgusers.email_gt(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_gt';
COMMENT ON FUNCTION orgusers.email_gt(orgusers.email, orgusers.email) IS 'Implementation of > operator';

CREATE FUNCTION orgusers.email_ge(orgusers.email, orgusers.email) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_ge';
COMMENT ON FUNCTION orgusers.email_ge(orgusers.email, orgusers.email) IS 'Implementation of >= operator';

CREATE FUNCTION orgusers.email_cmp(orgusers.email, orgusers.email) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_cmp';
COMMENT ON FUNCTION orgusers.email_cmp(orgusers.email, orgusers.email) IS 'Order of two addresses without case: negative, zero or positive';

CREATE FUNCTION orgusers.email_hash(orgusers.email) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_hash';
COMMENT ON FUNCTION orgusers.email_hash(orgusers.email) IS 'Hash of an address without case';

CREATE FUNCTION orgusers.email_hash_extended(orgusers.email, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_hash_extended';
COMMENT ON FUNCTION orgusers.email_hash_extended(orgusers.email, bigint) IS 'Seeded 64-bit hash of an address without case';

-- In pg_catalog, where every session finds them first: an application need not have our schema on its
-- path, functions with a pinned path write = plainly, and nobody's schema can put its own = in between.
CREATE OPERATOR pg_catalog.= (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_eq,
    COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR pg_catalog.= (orgusers.email, orgusers.email) IS 'same address, without case';

CREATE OPERATOR pg_catalog.<> (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_ne,
    COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (orgusers.email, orgusers.email) IS 'other address, without case';

CREATE OPERATOR pg_catalog.< (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_lt,
    COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
    RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR pg_catalog.< (orgusers.email, orgusers.email) IS 'less than, without case';

CREATE OPERATOR pg_catalog.<= (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_le,
    COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
    RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR pg_catalog.<= (orgusers.email, orgusers.email) IS 'less than or equal, without case';

CREATE OPERATOR pg_catalog.> (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_gt,
    COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
    RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR pg_catalog.> (orgusers.email, orgusers.email) IS 'greater than, without case';

CREATE OPERATOR pg_catalog.>= (
    LEFTARG = orgusers.email, RIGHTARG = orgusers.email, FUNCTION = orgusers.email_ge,
    COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
    RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.>= (orgusers.email, orgusers.email) IS 'greater than or equal, without case';

CREATE OPERATOR CLASS orgusers.email_ops
    DEFAULT FOR TYPE orgusers.email USING btree AS
    OPERATOR 1 pg_catalog.<,
    OPERATOR 2 pg_catalog.<=,
    OPERATOR 3 pg_catalog.=,
    OPERATOR 4 pg_catalog.>=,
    OPERATOR 5 pg_catalog.>,
    FUNCTION 1 orgusers.email_cmp(orgusers.email, orgusers.email);
COMMENT ON OPERATOR CLASS orgusers.email_ops USING btree IS 'Addresses in order, without case';

CREATE OPERATOR CLASS orgusers.email_ops
    DEFAULT FOR TYPE orgusers.email USING hash AS
    OPERATOR 1 pg_catalog.=,
    FUNCTION 1 orgusers.email_hash(orgusers.email),
    FUNCTION 2 orgusers.email_hash_extended(orgusers.email, bigint);
COMMENT ON OPERATOR CLASS orgusers.email_ops USING hash IS 'Addresses by hash, without case';

CREATE FUNCTION orgusers.email_fault(address text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_fault_sentence';
COMMENT ON FUNCTION orgusers.email_fault(text) IS 'A sentence on what is wrong with a text as an e-mail address; NULL for a valid one. Internal';

CREATE FUNCTION orgusers.email_domain(email orgusers.email) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_email_domain';
COMMENT ON FUNCTION orgusers.email_domain(orgusers.email) IS 'The part of an address after the @, in lower case. Internal';

CREATE FUNCTION orgusers.normal_domain(domain text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN orgusers.email_fault('a@' || domain) IS NULL THEN orgusers.email_domain(('a@' || domain)::orgusers.email) END;
END $$;
COMMENT ON FUNCTION orgusers.normal_domain(text) IS 'A domain in lower case, if an address can have it after the @; NULL for anything else. Internal';
