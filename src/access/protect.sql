-- Protecting an application's table with one call, and seeing what is protected.

CREATE VIEW orgusers.protected_tables AS
    SELECT c.oid::regclass AS relation, p.polname AS policy,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END AS command,
           ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END FROM unnest(p.polroles) r) AS roles,
           coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS condition,
           c.relrowsecurity AND c.relforcerowsecurity AS in_force
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    WHERE p.polname IN ('orgusers_read', 'orgusers_insert', 'orgusers_update', 'orgusers_delete');
COMMENT ON VIEW orgusers.protected_tables IS 'Tables that protect_table() protects, a row for each command. in_force is false when somebody has switched row level security off, or off for the table''s owner. For the database''s owner';

CREATE FUNCTION orgusers.protect_table(relation regclass, org_column name DEFAULT 'org_id', space_column name DEFAULT NULL,
                                       owner_column name DEFAULT NULL,
                                       read text DEFAULT NULL, insert text DEFAULT NULL, update text DEFAULT NULL,
                                       delete text DEFAULT NULL, roles regrole[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target    pg_class;
    wanted    record;
    found_one record;
    condition text;
    owned     text;
    grantees  text := 'PUBLIC';
BEGIN
    SELECT * INTO target FROM pg_class c WHERE c.oid = relation;
    IF NOT FOUND OR target.relkind NOT IN ('r', 'p') OR target.relpersistence = 't' OR target.relnamespace = 'orgusers'::regnamespace THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'only a table of the application can be protected';
    END IF;
    FOR wanted IN SELECT * FROM (VALUES (org_column, 'organization'), (space_column, 'space'), (owner_column, 'owner')) AS c (name, what) WHERE c.name IS NOT NULL OR what = 'organization' LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = wanted.name
                       AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'uuid'::regtype) THEN
            RAISE EXCEPTION USING ERRCODE = 'OU009',
                MESSAGE = format('table %s has no column %s of type uuid for the %s', relation, coalesce(quote_ident(wanted.name), 'NULL'), wanted.what);
        END IF;
    END LOOP;
    SELECT p INTO wanted FROM unnest(ARRAY[read, insert, update, delete]) p
        WHERE p IS NOT NULL AND NOT EXISTS (SELECT FROM orgusers.permissions k WHERE k.key = p) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = format('no such permission: %s', quote_literal(wanted.p)),
            HINT = 'Register it first, with register_permission().';
    END IF;
    IF coalesce(read, insert, update, delete) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'no permission is named for any command',
            HINT = 'A command without a permission is closed to everybody. Name at least one.';
    END IF;
    IF roles IS NOT NULL THEN
        IF cardinality(roles) = 0 OR NOT (SELECT bool_and(EXISTS (SELECT FROM pg_roles r WHERE r.oid = o)) FROM unnest(roles) o) THEN
            RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'roles names no role, or one that does not exist',
                HINT = 'Leave it out, and the policies are for all roles.';
        END IF;
        SELECT r.rolname INTO found_one FROM pg_roles r WHERE r.oid = ANY (roles) AND (r.rolsuper OR r.rolbypassrls) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = format('role %I bypasses row level security', found_one.rolname),
                HINT = 'Let the application use a role without SUPERUSER and BYPASSRLS.';
        END IF;
        SELECT string_agg(r::text, ', ') INTO grantees FROM unnest(roles) r;
    END IF;
    IF EXISTS (SELECT FROM orgusers.protected_tables t WHERE t.relation = protect_table.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = format('table %s is protected', relation),
            HINT = 'Call unprotect_table() first, in the same transaction.';
    END IF;

    FOR wanted IN SELECT * FROM (VALUES ('read', 'SELECT', read), ('insert', 'INSERT', insert), ('update', 'UPDATE', update), ('delete', 'DELETE', delete))
                  AS c (name, command, permission) WHERE c.permission IS NOT NULL LOOP
        condition := CASE WHEN space_column IS NULL THEN format('orgusers.can(%I, %L)', org_column, wanted.permission)
                          ELSE format('orgusers.can(%I, %I, %L)', org_column, space_column, wanted.permission) END;
        owned := condition;
        IF owner_column IS NOT NULL THEN
            owned := format('%s OR %I = orgusers.current_user_id() AND orgusers.is_member(%I)', condition, owner_column, org_column);
        END IF;
        EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %s', 'orgusers_' || wanted.name, relation, wanted.command, grantees)
            || CASE wanted.name
                WHEN 'insert' THEN format(' WITH CHECK (%s)', condition)
                -- What becomes of a row must be the actor's to update, or for its owner to insert: or an owner
                -- could take it to an organization where only reading is allowed.
                WHEN 'update' THEN format(' USING (%s) WITH CHECK (%s)', owned,
                    condition || CASE WHEN owner_column IS NOT NULL AND insert IS NOT NULL THEN format(' OR %I = orgusers.current_user_id() AND %s', owner_column,
                        CASE WHEN space_column IS NULL THEN format('orgusers.can(%I, %L)', org_column, insert)
                             ELSE format('orgusers.can(%I, %I, %L)', org_column, space_column, insert) END) ELSE '' END)
                ELSE format(' USING (%s)', owned) END;
    END LOOP;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);

    -- What weakens it, and is somebody else's to change.
    IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND a.attname = org_column) THEN
        RAISE WARNING USING MESSAGE = format('table %s has no btree index that begins with %I', relation, org_column),
            HINT = 'Without one, every query asks about every row.';
    END IF;
    FOR found_one IN SELECT DISTINCT v.oid::regclass AS name FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
                     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND v.oid <> relation
                       AND (v.relkind = 'm' OR NOT coalesce('security_invoker=true' = ANY (v.reloptions) OR 'security_invoker=on' = ANY (v.reloptions)
                                                            OR 'security_invoker=1' = ANY (v.reloptions) OR 'security_invoker=yes' = ANY (v.reloptions), false)) LOOP
        RAISE WARNING USING MESSAGE = format('view %s shows table %s as its own owner may see it', found_one.name, relation),
            HINT = 'ALTER VIEW ... SET (security_invoker = true).';
    END LOOP;
    FOR found_one IN SELECT p.polname FROM pg_policy p WHERE p.polrelid = relation AND p.polpermissive AND p.polname !~ '^orgusers_' LOOP
        RAISE WARNING USING MESSAGE = format('policy %I on table %s lets rows through besides', found_one.polname, relation),
            HINT = 'Permissive policies add up. Drop it, or make it restrictive.';
    END LOOP;
    FOR found_one IN SELECT i.inhrelid::regclass AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                     WHERE i.inhparent = relation AND NOT c.relrowsecurity AND c.relacl IS NOT NULL LOOP
        RAISE WARNING USING MESSAGE = format('table %s is a part of table %s, and can be read by itself', found_one.name, relation),
            HINT = 'Protect it too, or revoke what is granted on it.';
    END LOOP;
    IF target.relispartition THEN
        RAISE WARNING USING MESSAGE = format('table %s is a partition', relation),
            HINT = 'Who queries the parent is under the parent''s policies: protect that.';
    END IF;
    FOR found_one IN SELECT r.rolname FROM pg_roles r WHERE r.rolbypassrls AND NOT r.rolsuper AND has_table_privilege(r.oid, relation, 'SELECT') LOOP
        RAISE WARNING USING MESSAGE = format('role %I bypasses row level security and may read table %s', found_one.rolname, relation),
            HINT = 'ALTER ROLE ... NOBYPASSRLS.';
    END LOOP;
END $$;
COMMENT ON FUNCTION orgusers.protect_table(regclass, name, name, name, text, text, text, text, regrole[]) IS 'Protects a table of the application: enables and forces row level security, with a policy for each command whose permission is named. A row can be read, inserted, updated or deleted by who has that permission in the row''s organization (org_column), or in the row''s space (space_column, if there is one) of that organization; read, updated and deleted also by the user in owner_column, while an active user of the organization; what the owner makes of it must be a row that the owner could insert. A command without a permission is closed. The policies are for these roles (NULL: all). Warns of a missing index, of views that are not security_invoker, of other permissive policies and of roles that bypass. For the table''s owner, who needs EXECUTE on it. OU009 not such a table or column, no permission named, or a role that bypasses row level security; OU105 no such permission; OU107 protected already';

CREATE FUNCTION orgusers.unprotect_table(relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped name;
BEGIN
    IF NOT EXISTS (SELECT FROM orgusers.protected_tables t WHERE t.relation = unprotect_table.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'this table is not protected',
            HINT = 'The view orgusers.protected_tables lists those that are.';
    END IF;
    FOR dropped IN SELECT t.policy FROM orgusers.protected_tables t WHERE t.relation = unprotect_table.relation LOOP
        EXECUTE format('DROP POLICY %I ON %s', dropped, relation);
    END LOOP;
    -- Other policies keep what they need; without any, the table is as open as its grants say.
    IF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = relation) THEN
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', relation);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.unprotect_table(regclass) IS 'Takes back what protect_table() did: drops its policies, and switches row level security off when no other policy is left. For the table''s owner, who needs EXECUTE on it. OU009 not protected';
