-- Ids of everything: made here, without a sequence, so that any server can make them.

CREATE FUNCTION orgusers.new_id() RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_new_id';
COMMENT ON FUNCTION orgusers.new_id() IS 'A new UUID of version 7, later than every other one of this session. Anybody may call it';
