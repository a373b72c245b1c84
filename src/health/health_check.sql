-- What weakens the promises in this database, for its owner.  Every finding is provoked in test/pgtap/health.sql.

CREATE FUNCTION orgusers.broken_references() RETURNS TABLE (relation regclass, reference name, broken bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reference record;
BEGIN
    -- Only what was loaded past the triggers of the foreign keys can be broken.
    FOR reference IN
        SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, c.conname,
               string_agg(format('child.%I = parent.%I', f.attname, r.attname), ' AND ') AS matched,
               string_agg(format('child.%I IS NOT NULL', f.attname), ' AND ') AS given
        FROM pg_constraint c
        CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (child, parent)
        JOIN pg_attribute f ON f.attrelid = c.conrelid AND f.attnum = k.child
        JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = k.parent
        WHERE c.contype = 'f' AND c.conparentid = 0 AND 'orgusers'::regnamespace IN (c.connamespace, (SELECT p.relnamespace FROM pg_class p WHERE p.oid = c.confrelid))
        GROUP BY c.oid, c.conrelid, c.confrelid, c.conname ORDER BY c.conrelid::regclass::text, c.conname
    LOOP
        relation := reference.child;
        broken_references.reference := reference.conname;
        EXECUTE format('SELECT count(*) FROM %s AS child WHERE %s AND NOT EXISTS (SELECT FROM %s AS parent WHERE %s)',
                       reference.child, reference.given, reference.parent, reference.matched) INTO broken;
        IF broken > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION orgusers.broken_references() IS 'Foreign keys of the extension''s tables, and to them, that rows break, and how many rows; reads all these tables. Rows get there past the triggers only, as with session_replication_role = replica. Internal';

-- Each part reads only what the rule is about: plans with a cap, role templates with a limit, policies with the switch.
CREATE VIEW orgusers.broken_invariants AS
    SELECT s.org_id, 'seats' AS invariant,
           format('%s users have a seat, and the plan %s has %s.', used.users, p.title, p.seats) AS detail
    FROM orgusers.plans p
    JOIN orgusers.subscriptions s ON s.plan = p.id
    CROSS JOIN LATERAL (SELECT count(*) AS users FROM orgusers.memberships m
                        WHERE m.org_id = s.org_id AND m.status = 'active' AND m.holds_seat) AS used
    WHERE p.seats IS NOT NULL AND used.users > p.seats
    UNION ALL
    SELECT o.id, 'holders', format('%s users hold the role %s, which has %s at least%s.', held.users, t.name, t.least_holders,
                                   coalesce(' and ' || t.most_holders || ' at most', ''))
    FROM orgusers.role_templates t
    JOIN orgusers.organizations o ON o.policy = t.policy
    CROSS JOIN LATERAL (SELECT count(*) AS users FROM orgusers.roles r
                        JOIN orgusers.membership_roles mr ON mr.org_id = r.org_id AND mr.role_id = r.id
                        JOIN orgusers.memberships m ON m.org_id = mr.org_id AND m.user_id = mr.user_id AND m.status = 'active'
                        WHERE r.org_id = o.id AND r.template = t.id) AS held
    WHERE (t.least_holders > 0 OR t.most_holders IS NOT NULL)
      AND (held.users > t.most_holders
           -- Not where the role was never given: in an organization whose users have no roles yet, and in a sub-account,
           -- which is run from above.
           OR held.users < t.least_holders
              AND (held.users > 0 OR o.parent_id IS NULL AND EXISTS (SELECT FROM orgusers.membership_roles mr WHERE mr.org_id = o.id)))
    UNION ALL
    SELECT s.org_id, 'billing admin', 'The billing admin is not an active user.'
    FROM orgusers.subscriptions s JOIN orgusers.memberships m ON m.org_id = s.org_id AND m.user_id = s.billing_admin_id
    WHERE m.status <> 'active'
    UNION ALL
    SELECT m.org_id, 'spaces', format('User %s is assigned to %s spaces, and a role allows %s.', m.user_id, held.spaces, m.most)
    FROM (SELECT h.org_id, h.user_id, min(t.most_spaces) AS most
          FROM orgusers.role_templates t
          JOIN orgusers.roles r ON r.policy = t.policy AND r.template = t.id
          JOIN orgusers.held_roles h ON h.org_id = r.org_id AND h.role_id = r.id
          WHERE t.most_spaces IS NOT NULL GROUP BY h.org_id, h.user_id) AS m
    CROSS JOIN LATERAL (SELECT count(DISTINCT a.space_id) AS spaces FROM orgusers.assigned_spaces a
                        WHERE a.org_id = m.org_id AND a.user_id = m.user_id) AS held
    WHERE held.spaces > m.most
    UNION ALL
    SELECT used.root_id, 'addresses', format('Address %s is used in %s organizations of the tree.', used.email, count(DISTINCT used.id))
    FROM (SELECT o.root_id, o.id, u.email FROM orgusers.policies p
          JOIN orgusers.organizations o ON o.policy = p.id
          JOIN orgusers.memberships m ON m.org_id = o.id JOIN orgusers.users u ON u.id = m.user_id
          WHERE p.unique_in_tree
          UNION ALL
          SELECT o.root_id, o.id, i.email FROM orgusers.policies p
          JOIN orgusers.organizations o ON o.policy = p.id
          JOIN orgusers.invitations i ON i.org_id = o.id AND i.status = 'pending' AND i.expires_at > now()
          WHERE p.unique_in_tree) AS used
    GROUP BY used.root_id, used.email HAVING count(DISTINCT used.id) > 1;
COMMENT ON VIEW orgusers.broken_invariants IS 'Organizations in which one of the rules does not hold that triggers keep. Limits of a rule-book that were changed bind the next change only, so holders, spaces and addresses can be here for that alone. For the database''s owner';

CREATE FUNCTION orgusers.application_roles() RETURNS SETOF oid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE may AS (
        SELECT a.grantee AS role FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
        WHERE p.oid = 'orgusers.can(uuid, text)'::regprocedure AND a.grantee <> 0
        UNION
        SELECT m.member FROM may JOIN pg_auth_members m ON m.roleid = may.role JOIN pg_roles r ON r.oid = m.member
        -- of superusers, who have every role, those that were made a member
        WHERE r.rolsuper OR pg_has_role(m.member, may.role, 'USAGE')
    )
    SELECT may.role FROM may WHERE may.role <> (SELECT p.proowner FROM pg_proc p WHERE p.oid = 'orgusers.can(uuid, text)'::regprocedure);
END;
COMMENT ON FUNCTION orgusers.application_roles() IS 'Roles that may ask for rights, by grant_to() or as members that inherit from such a role; without the owner. Internal';

CREATE FUNCTION orgusers.settings_at_start() RETURNS TABLE (name text, value text, place text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT lower(split_part(c.setting, '=', 1)), substr(c.setting, strpos(c.setting, '=') + 1),
           coalesce(' for role ' || quote_ident(r.rolname), '') || coalesce(' in database ' || quote_ident(d.datname), '')
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
    LEFT JOIN pg_roles r ON r.oid = s.setrole
    LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE s.setdatabase = 0 OR d.datname = current_database()
    UNION ALL
    SELECT s.name, s.reset_val, ' for all' FROM pg_settings s
    WHERE NOT EXISTS (SELECT FROM pg_db_role_setting o CROSS JOIN LATERAL unnest(o.setconfig) AS c (setting)
                      WHERE lower(split_part(c.setting, '=', 1)) = lower(s.name) AND substr(c.setting, strpos(c.setting, '=') + 1) = s.reset_val);
END;
COMMENT ON FUNCTION orgusers.settings_at_start() IS 'Settings with which sessions in this database begin: of roles and of the database, and else of this session. Internal';

-- With settings under which the server spells definitions alike.
CREATE FUNCTION orgusers.present_guards() RETURNS TABLE (kind text, name text, definition text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
BEGIN ATOMIC
    WITH relations AS MATERIALIZED (SELECT c.oid, c.relkind, c.oid::regclass::text AS called FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace)
    SELECT g.kind, g.name, md5(g.definition) FROM (
        SELECT 'trigger' AS kind, format('%I on %s', t.tgname, r.called) AS name, pg_get_triggerdef(t.oid) AS definition
        FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
        UNION ALL
        -- NOT NULL is the column's: since version 18 it is a constraint as well
        SELECT 'constraint', format('%I on %s', c.conname, r.called), pg_get_constraintdef(c.oid)
        FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid WHERE c.contype IN ('c', 'f', 'p', 'u')
        UNION ALL
        SELECT 'unique index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
        FROM pg_index i JOIN relations r ON r.oid = i.indrelid
        WHERE i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
        UNION ALL
        SELECT 'policy', format('%I on %s', p.polname, r.called),
               concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
        UNION ALL
        SELECT 'column', format('%I of %s', a.attname, r.called),
               concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid AND r.relkind = 'r' LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 'view', r.called, pg_get_viewdef(r.oid) FROM relations r WHERE r.relkind = 'v'
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace
    ) AS g;
END;
COMMENT ON FUNCTION orgusers.present_guards() IS 'What keeps the promises in the catalogs now, each with a hash of its definition as this cluster spells it: triggers, constraints, unique indexes, policies, columns, views and functions. Internal';

-- Made with the extension, so not dumped either; filled by guards.sql, when all is there.
CREATE TABLE orgusers.guards (
    kind       text NOT NULL,
    name       text NOT NULL,
    definition text NOT NULL,
    cluster    bigint NOT NULL DEFAULT (pg_control_system()).system_identifier,
    PRIMARY KEY (kind, name)
);
COMMENT ON TABLE orgusers.guards IS 'What present_guards() has said when the extension was installed or updated: health_check() compares the two';
COMMENT ON COLUMN orgusers.guards.cluster IS 'System identifier of that cluster: pg_upgrade makes another, which can spell definitions otherwise, and then only the names are compared';

CREATE FUNCTION orgusers.health_check(thorough boolean DEFAULT false)
    RETURNS TABLE (severity text, finding text, detail text, hint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mail record;
BEGIN
    -- Roles that no policy holds
    RETURN QUERY
        SELECT 'error', 'an application role bypasses row level security', format('Role %I.', r.rolname),
               'ALTER ROLE ... NOSUPERUSER NOBYPASSRLS, or revoke what grant_to() gave it.'
        FROM orgusers.application_roles() a (role) JOIN pg_roles r ON r.oid = a.role
        WHERE r.rolsuper OR r.rolbypassrls ORDER BY r.rolname;
    RETURN QUERY
        SELECT 'error', 'an application role can become the extension''s owner', format('Role %I.', r.rolname),
               'REVOKE the membership in the owner''s role.'
        FROM orgusers.application_roles() a (role) JOIN pg_roles r ON r.oid = a.role
        JOIN pg_proc p ON p.oid = 'orgusers.can(uuid, text)'::regprocedure
        WHERE NOT r.rolsuper AND pg_has_role(r.oid, p.proowner, 'MEMBER') ORDER BY r.rolname;
    RETURN QUERY
        SELECT 'error', 'everybody may call a function or read a table of the extension', format('%s.', o.called), 'REVOKE ALL ... FROM PUBLIC.'
        FROM (SELECT p.oid::regprocedure::text AS called, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
              FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace
              UNION ALL
              SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault('r', c.relowner))
              FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind IN ('r', 'v')
              UNION ALL
              SELECT format('%s (%I)', c.oid::regclass, a.attname), a.attacl
              FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'orgusers'::regnamespace AND a.attacl IS NOT NULL) AS o
        WHERE EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = 0)
        ORDER BY o.called;

    -- Tables of the application
    RETURN QUERY
        SELECT 'warning', 'a table that refers to organizations is not protected',
               format('Table %s%s.', c.oid::regclass, CASE WHEN c.relrowsecurity THEN ': its owner is not under its policies' ELSE '' END),
               'protect_table(), or policies of your own and FORCE ROW LEVEL SECURITY.'
        FROM pg_class c
        WHERE c.relnamespace <> 'orgusers'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
          AND NOT EXISTS (SELECT FROM orgusers.protected_tables t WHERE t.relation = c.oid)
          -- What refers to users or plans alone belongs to no organization.
          AND EXISTS (SELECT FROM pg_constraint f JOIN pg_class o ON o.oid = f.confrelid
                      WHERE f.conrelid = c.oid AND f.contype = 'f' AND o.relnamespace = 'orgusers'::regnamespace
                        AND (o.relname = 'organizations' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = o.oid AND a.attname = 'org_id')))
        ORDER BY c.oid::regclass::text;
    RETURN QUERY
        SELECT 'error', 'a protected table''s policies are not in force', format('Table %s.', t.relation),
               'ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY.'
        FROM (SELECT DISTINCT p.relation FROM orgusers.protected_tables p WHERE NOT p.in_force) AS t ORDER BY t.relation::text;

    -- The extension's own guards
    RETURN QUERY
        SELECT 'error', 'row level security of a table of the extension is off', format('Table %s.', c.oid::regclass), 'ALTER TABLE ... ENABLE ROW LEVEL SECURITY.'
        FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND NOT c.relrowsecurity
          AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
        ORDER BY c.oid::regclass::text;
    RETURN QUERY
        SELECT 'error', 'a guard of the extension is missing or changed',
               format('The %s %s is %s.', kind, name,
                      CASE WHEN n.name IS NULL THEN 'missing' WHEN g.name IS NULL THEN 'not the extension''s' ELSE 'another than the extension''s' END),
               'Drop what was added, and make anew what the extension''s script makes.'
        FROM orgusers.guards g FULL JOIN orgusers.present_guards() n USING (kind, name)
        WHERE n.name IS NULL OR (g.name IS NULL AND kind = 'policy')
           OR (n.definition <> g.definition AND g.cluster = (pg_control_system()).system_identifier)
        ORDER BY kind, name;
    RETURN QUERY
        SELECT 'error', 'a trigger of the extension does not fire', format('Trigger %I on %s%s.', t.tgname, t.tgrelid::regclass,
                   coalesce(', of the foreign key ' || quote_ident(f.conname), '')),
               format('ALTER TABLE ... ENABLE %sTRIGGER.', CASE WHEN t.tgname ~ '^rights_' THEN 'ALWAYS ' ELSE '' END)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        LEFT JOIN pg_constraint f ON f.oid = t.tgconstraint AND f.contype = 'f'
        WHERE c.relnamespace = 'orgusers'::regnamespace
          AND (t.tgenabled IN ('D', 'R') OR (t.tgname ~ '^rights_' AND t.tgenabled <> 'A'))
        ORDER BY t.tgrelid::regclass::text, t.tgname;
    RETURN QUERY
        SELECT 'error', 'sessions begin with triggers off', format('session_replication_role is %s%s.', s.value, s.place),
               'RESET session_replication_role, for the role or database or in the server''s configuration.'
        FROM orgusers.settings_at_start() s WHERE s.name = 'session_replication_role' AND s.value = 'replica' ORDER BY s.place;
    RETURN QUERY
        SELECT 'error', 'a user is given to sessions that nobody has signed in to', format('orgusers.user_id is set%s.', s.place),
               'RESET orgusers.user_id, for the role or database or in the server''s configuration.'
        FROM orgusers.settings_at_start() s WHERE s.name = 'orgusers.user_id' AND s.value <> '' ORDER BY s.place;
    RETURN QUERY
        SELECT 'error', 'library and extension are of different versions',
               format('The library is %s, the extension %s.', orgusers.version(), e.extversion), 'ALTER EXTENSION orgusers UPDATE, and restart sessions.'
        FROM pg_extension e WHERE e.extname = 'orgusers' AND e.extversion <> orgusers.version();
    RETURN QUERY
        SELECT 'warning', 'the log shows bound parameters of statements that fail', format('log_parameter_max_length_on_error is %s%s.', s.value, s.place),
               'Set it to 0: bound invitation tokens would be logged as they came.'
        FROM orgusers.settings_at_start() s WHERE s.name = 'log_parameter_max_length_on_error' AND s.value <> '0' ORDER BY s.place;

    -- Mail
    SELECT * INTO mail FROM orgusers.mail_status();
    RETURN QUERY
        SELECT 'warning', 'invitations cannot be mailed', 'There is no mailer key in use.',
               'Run "orgusers-mailer keygen --out FILE" and register the public key with add_mailer_key().'
        WHERE EXISTS (SELECT FROM orgusers.policies) AND NOT EXISTS (SELECT FROM orgusers.mailer_keys k WHERE k.retired_at IS NULL);
    RETURN QUERY
        -- It can be an address that does not exist.
        SELECT 'warning', 'mail has been given up', format('%s mails; the latest error: %s.', mail.dead,
                   coalesce((SELECT m.last_error FROM orgusers.mail_outbox m WHERE m.status = 'dead' ORDER BY m.changed_at DESC LIMIT 1), 'none')),
               'Mend the cause, then requeue_mail(), or let purge_mail() delete them.'
        WHERE mail.dead > 0;
    RETURN QUERY
        SELECT 'error', 'mail is not sent', format('The mail that waits longest has been due for %s%s.', date_trunc('second', mail.oldest_due),
                   CASE WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = 'orgusers-mailer') THEN '' ELSE ', and no mailer is connected' END),
               'Start orgusers-mailer, or look at its log.'
        WHERE mail.oldest_due > interval '15 minutes';
    RETURN QUERY
        SELECT 'warning', 'mail of another installation is held back', format('%s mails came with a dump.', mail.held), 'adopt_mail() if this database takes its place.'
        WHERE mail.held > 0;

    -- Rules that do not hold
    RETURN QUERY
        SELECT CASE WHEN b.invariant IN ('seats', 'billing admin') THEN 'error' ELSE 'warning' END,
               'a rule does not hold in an organization', format('Organization %s, %s: %s', b.org_id, b.invariant, b.detail),
               CASE WHEN b.invariant IN ('seats', 'billing admin') THEN 'Triggers were off when this was written. Mend the rows with triggers on.'
                    ELSE 'The rule was changed since, and binds the next change; or triggers were off when this was written.' END
        FROM orgusers.broken_invariants b ORDER BY b.org_id, b.invariant, b.detail;
    IF thorough THEN
        RETURN QUERY
            SELECT 'error', 'rows refer to what is not there', format('%s rows of table %s break %I.', b.broken, b.relation, b.reference),
                   'Triggers were off when these were written. Delete or mend the rows.'
            FROM orgusers.broken_references() b;
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.health_check(boolean) IS 'What weakens the promises in this database, a row for each finding, none when all is well. severity: error, a promise does not hold or may not; warning, something is missing or may be meant so. Looks at roles and grants, tables that refer to organizations, triggers and settings, mail that is stuck, and organizations in which a rule does not hold; thorough (NULL is no) also reads every table for broken foreign keys. For the database''s owner';
