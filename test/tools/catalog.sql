-- Describes all that the extension orgusers consists of in this database, a line for each thing, without OIDs:
--   psql -XAtq -d DATABASE -f test/tools/catalog.sql
-- Two databases whose lines are equal have the same extension, whichever way it came there.
SET search_path = pg_catalog;
SET client_min_messages = warning;

-- The members, and what belongs to them: columns' defaults, constraints, indexes, triggers, policies, views' rules.
CREATE TEMP TABLE part AS
    WITH RECURSIVE part AS (
        SELECT classid, objid FROM pg_depend
            WHERE deptype = 'e' AND (refclassid, refobjid) = ('pg_extension'::regclass, (SELECT oid FROM pg_extension WHERE extname = 'orgusers'))
        UNION
        SELECT d.classid, d.objid FROM part p JOIN pg_depend d ON (d.refclassid, d.refobjid) = (p.classid, p.objid) AND d.deptype IN ('a', 'i')
    )
    SELECT classid, objid, i.type, i.identity
        FROM (SELECT 'pg_extension'::regclass AS classid, oid AS objid FROM pg_extension WHERE extname = 'orgusers'
              UNION SELECT classid, objid FROM part) p,
             pg_identify_object(classid, objid, 0) i
        -- Their names have OIDs, and what they are for is said by the table and the foreign key.
        WHERE i.type NOT LIKE 'toast%' AND i.identity NOT LIKE 'pg_toast.%'
            AND NOT (classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = objid AND t.tgisinternal));

-- The row of a catalog as JSON: OIDs by name, and without the columns that are another thing's or differ by chance.
CREATE FUNCTION pg_temp.described(p part) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    definition text;
BEGIN
    CASE p.classid::regclass::text
        WHEN 'pg_proc' THEN
            SELECT concat_ws(E'\n', CASE WHEN prokind = 'a' THEN (SELECT a::text FROM pg_aggregate a WHERE a.aggfnoid = pg_proc.oid) ELSE pg_get_functiondef(oid) END,
                             'support ' || prosupport::text, 'owner ' || proowner::regrole, 'acl ' || proacl::text)
                INTO definition FROM pg_proc WHERE oid = p.objid;
        WHEN 'pg_class' THEN
            SELECT concat_ws(E'\n', relkind, relpersistence, concat('security ', relrowsecurity, relforcerowsecurity), concat('identity ', relreplident),
                             'options ' || reloptions::text, 'owner ' || relowner::regrole, 'acl ' || relacl::text, 'type ' || nullif(reloftype, 0)::regtype,
                             CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) WHEN 'i' THEN pg_get_indexdef(oid) END,
                             (SELECT concat('index ', indisvalid, indisclustered, indisreplident, indimmediate) FROM pg_index WHERE indexrelid = pg_class.oid),
                             (SELECT string_agg(concat_ws(' ', 'column', attname, format_type(atttypid, atttypmod), 'not null ' || attnotnull,
                                                          nullif(attidentity, ''), nullif(attgenerated, ''), attstorage, nullif(attcompression, ''),
                                                          nullif(attcollation, 0)::regcollation, attstattarget, (SELECT string_agg(o, ',') FROM unnest(attoptions) o WHERE o !~ '^pg_'), attacl,
                                                          pg_get_expr(adbin, adrelid)), E'\n' ORDER BY attnum)
                                  FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
                                  WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped))
                INTO definition FROM pg_class WHERE oid = p.objid;
        WHEN 'pg_constraint' THEN
            SELECT concat_ws(' ', contype, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred) INTO definition FROM pg_constraint WHERE oid = p.objid;
        WHEN 'pg_trigger' THEN
            SELECT concat_ws(' ', tgenabled, pg_get_triggerdef(oid)) INTO definition FROM pg_trigger WHERE oid = p.objid;
        WHEN 'pg_policy' THEN
            SELECT concat_ws(E'\n', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
                INTO definition FROM pg_policy WHERE oid = p.objid;
        WHEN 'pg_type' THEN
            SELECT concat_ws(' ', typtype, typcategory, typispreferred, typlen, typbyval, typalign, typstorage, typdelim, typinput, typoutput, typreceive, typsend,
                             typmodin, typmodout, typanalyze, typelem::regtype, typarray::regtype, typbasetype::regtype, typnotnull, typdefault, typcollation, typowner::regrole, typacl,
                             (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
                INTO definition FROM pg_type WHERE oid = p.objid;
        WHEN 'pg_cast' THEN
            SELECT concat_ws(' ', nullif(castfunc, 0)::regprocedure, castcontext, castmethod) INTO definition FROM pg_cast WHERE oid = p.objid;
        WHEN 'pg_operator' THEN
            SELECT concat_ws(' ', oprresult::regtype, oprcode, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanmerge, oprcanhash, oprowner::regrole)
                INTO definition FROM pg_operator WHERE oid = p.objid;
        WHEN 'pg_opfamily' THEN
            SELECT string_agg(line, E'\n' ORDER BY line) INTO definition
                FROM (SELECT concat_ws(' ', 'operator', amopstrategy, amoppurpose, amopopr::regoperator) AS line FROM pg_amop WHERE amopfamily = p.objid
                      UNION ALL SELECT concat_ws(' ', 'function', amprocnum, amproc::regprocedure) FROM pg_amproc WHERE amprocfamily = p.objid) l;
        WHEN 'pg_opclass' THEN
            SELECT concat_ws(' ', opcdefault, opcintype::regtype, nullif(opckeytype, 0)::regtype, opcfamily <> 0) INTO definition FROM pg_opclass WHERE oid = p.objid;
        WHEN 'pg_event_trigger' THEN
            SELECT concat_ws(' ', evtevent, evtfoid::regprocedure, evtenabled, evttags) INTO definition FROM pg_event_trigger WHERE oid = p.objid;
        WHEN 'pg_namespace' THEN
            SELECT concat_ws(' ', nspowner::regrole, nspacl) INTO definition FROM pg_namespace WHERE oid = p.objid;
        WHEN 'pg_extension' THEN
            SELECT concat_ws(E'\n', extversion, extnamespace::regnamespace, extrelocatable,
                             (SELECT string_agg(format('dumped: %s %s', t::regclass, c), E'\n' ORDER BY t::regclass::text) FROM unnest(extconfig, extcondition) u (t, c)))
                INTO definition FROM pg_extension WHERE oid = p.objid;
        -- Wholly told by the relation that they belong to.
        WHEN 'pg_attrdef', 'pg_rewrite' THEN definition := '';
        WHEN 'pg_amop', 'pg_amproc' THEN definition := '';
        ELSE RAISE 'no description of a % yet', p.type;
    END CASE;
    RETURN definition;
END
$$;

-- The rows of a table, but for when they came and how often their lock was taken.
CREATE FUNCTION pg_temp.contents(relation regclass) RETURNS SETOF text LANGUAGE plpgsql AS
$$
BEGIN
    RETURN QUERY EXECUTE format('SELECT (to_jsonb(t) - ''{created_at,epoch}''::text[])::text FROM %s t', relation);
END
$$;

SELECT replace(line, E'\n', '\n') FROM (
    SELECT concat_ws(' ', type, identity, ':', pg_temp.described(part)) AS line FROM part
    UNION ALL
    SELECT concat_ws(' ', 'comment on', type, identity, nullif(objsubid, 0), ':', description)
        FROM part JOIN pg_description ON (classoid, objoid) = (classid, objid)
    UNION ALL
    SELECT concat_ws(' ', 'first privileges on', type, identity, nullif(objsubid, 0), ':', initprivs)
        FROM part JOIN pg_init_privs ON (classoid, objoid) = (classid, objid)
    UNION ALL
    SELECT concat_ws(' ', part.type, part.identity, nullif(d.objsubid, 0), 'depends on', i.type, i.identity, d.deptype)
        FROM part JOIN pg_depend d USING (classid, objid), pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i
        WHERE d.refclassid <> 0
    UNION ALL
    SELECT concat_ws(' ', 'row of', identity, ':', r)
        FROM part, pg_temp.contents(objid::regclass) r WHERE type = 'table' AND identity NOT IN ('orgusers.installation', 'orgusers.audit_log')
) l ORDER BY line COLLATE "C";
