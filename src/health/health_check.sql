-- What weakens the promises in this database, for its owner.

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
        WHERE c.contype = 'f' AND c.connamespace = 'orgusers'::regnamespace
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
COMMENT ON FUNCTION orgusers.broken_references() IS 'Foreign keys of the extension''s tables that rows break, and how many rows; reads all tables. Rows get there past the triggers only, as with session_replication_role = replica. Internal';

CREATE VIEW orgusers.broken_invariants AS
    SELECT o.id AS org_id, 'seats' AS invariant,
           format('%s users have a seat, and the plan %s has %s.', used.users, p.title, p.seats) AS detail
    FROM orgusers.organizations o
    JOIN orgusers.subscriptions s ON s.org_id = o.id
    JOIN orgusers.plans p ON p.id = s.plan
    CROSS JOIN LATERAL (SELECT count(*) AS users FROM orgusers.memberships m
                        WHERE m.org_id = o.id AND m.status = 'active' AND m.holds_seat) AS used
    WHERE used.users > p.seats
    UNION ALL
    SELECT o.id, 'holders', format('%s users hold the role %s, which has %s at least%s.', held.users, t.name, t.least_holders,
                                   coalesce(' and ' || t.most_holders || ' at most', ''))
    FROM orgusers.organizations o
    JOIN orgusers.role_templates t ON t.policy = o.policy AND (t.least_holders > 0 OR t.most_holders IS NOT NULL)
    CROSS JOIN LATERAL (SELECT count(*) AS users FROM orgusers.roles r
                        JOIN orgusers.membership_roles mr ON mr.org_id = r.org_id AND mr.role_id = r.id
                        JOIN orgusers.memberships m ON m.org_id = mr.org_id AND m.user_id = mr.user_id AND m.status = 'active'
                        WHERE r.org_id = o.id AND r.template = t.id) AS held
    WHERE held.users > t.most_holders
       -- a sub-account can be without somebody in charge
       OR (held.users < t.least_holders AND o.parent_id IS NULL AND EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = o.id))
    UNION ALL
    SELECT s.org_id, 'billing admin', 'The billing admin is not an active user.'
    FROM orgusers.subscriptions s JOIN orgusers.memberships m ON m.org_id = s.org_id AND m.user_id = s.billing_admin_id
    WHERE m.status <> 'active'
    UNION ALL
    SELECT m.org_id, 'spaces', format('User %s is assigned to %s spaces, and a role allows %s.', m.user_id, held.spaces, held.most)
    FROM orgusers.memberships m
    CROSS JOIN LATERAL (
        SELECT (SELECT count(DISTINCT a.space_id) FROM orgusers.assigned_spaces a WHERE a.org_id = m.org_id AND a.user_id = m.user_id) AS spaces,
               (SELECT min(t.most_spaces) FROM orgusers.held_roles h
                JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
                JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                WHERE h.org_id = m.org_id AND h.user_id = m.user_id) AS most) AS held
    WHERE EXISTS (SELECT FROM orgusers.role_templates t WHERE t.most_spaces IS NOT NULL) AND held.spaces > held.most
    UNION ALL
    SELECT used.root_id, 'addresses', format('Address %s is used %s times in the account and its sub-accounts.', used.email, count(*))
    FROM (SELECT o.root_id, o.policy, u.email FROM orgusers.memberships m
          JOIN orgusers.organizations o ON o.id = m.org_id JOIN orgusers.users u ON u.id = m.user_id
          UNION ALL
          SELECT o.root_id, o.policy, i.email FROM orgusers.invitations i JOIN orgusers.organizations o ON o.id = i.org_id
          WHERE i.status = 'pending' AND i.expires_at > now()) AS used
    JOIN orgusers.policies p ON p.id = used.policy AND p.unique_in_tree
    GROUP BY used.root_id, used.email HAVING count(*) > 1;
COMMENT ON VIEW orgusers.broken_invariants IS 'Organizations in which one of the rules does not hold that triggers keep. An organization without any user is none. For the database''s owner';

CREATE FUNCTION orgusers.health_check(thorough boolean DEFAULT false)
    RETURNS TABLE (severity text, finding text, detail text, hint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Roles that no policy holds
    RETURN QUERY
        SELECT 'error', 'an application role bypasses row level security', format('Role %I.', r.rolname),
               'ALTER ROLE ... NOSUPERUSER NOBYPASSRLS, or revoke what grant_to() gave it.'
        FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE p.oid = 'orgusers.can(uuid, text)'::regprocedure AND a.grantee <> p.proowner AND (r.rolsuper OR r.rolbypassrls)
        ORDER BY r.rolname;
    RETURN QUERY
        SELECT 'error', 'an application role can become the extension''s owner', format('Role %I.', r.rolname),
               'REVOKE the membership in the owner''s role.'
        FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE p.oid = 'orgusers.can(uuid, text)'::regprocedure AND a.grantee <> p.proowner AND NOT r.rolsuper AND pg_has_role(r.oid, p.proowner, 'MEMBER')
        ORDER BY r.rolname;
    RETURN QUERY
        SELECT 'error', 'everybody may call a function or read a table of the extension', format('%s.', o.called), 'REVOKE ALL ... FROM PUBLIC.'
        FROM (SELECT p.oid::regprocedure::text AS called, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
              FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace
              UNION ALL
              SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault('r', c.relowner))
              FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind IN ('r', 'v')) AS o
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
          AND EXISTS (SELECT FROM pg_constraint f JOIN pg_class o ON o.oid = f.confrelid
                      WHERE f.conrelid = c.oid AND f.contype = 'f' AND o.relnamespace = 'orgusers'::regnamespace)
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
        SELECT 'error', 'a trigger of the extension does not fire', format('Trigger %I on %s.', t.tgname, t.tgrelid::regclass),
               format('ALTER TABLE ... ENABLE %sTRIGGER.', CASE WHEN t.tgname ~ '^rights_' THEN 'ALWAYS ' ELSE '' END)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'orgusers'::regnamespace
          AND (t.tgenabled IN ('D', 'R') OR (t.tgname ~ '^rights_' AND t.tgenabled <> 'A'))
        ORDER BY t.tgrelid::regclass::text, t.tgname;
    RETURN QUERY
        SELECT 'error', 'sessions begin with triggers off', format('session_replication_role is %s%s%s.', split_part(s.setting, '=', 2),
                   coalesce(format(' for role %I', r.rolname), ''), coalesce(format(' in database %I', d.datname), '')),
               'ALTER ROLE or ALTER DATABASE ... RESET session_replication_role.'
        FROM (SELECT 'session_replication_role=' || current_setting('session_replication_role') AS setting, NULL::oid AS setrole, NULL::oid AS setdatabase
              UNION
              SELECT c.setting, x.setrole, x.setdatabase FROM pg_db_role_setting x CROSS JOIN LATERAL unnest(x.setconfig) AS c (setting)
              WHERE x.setdatabase = 0 OR x.setdatabase = (SELECT o.oid FROM pg_database o WHERE o.datname = current_database())) AS s
        LEFT JOIN pg_roles r ON r.oid = s.setrole
        LEFT JOIN pg_database d ON d.oid = s.setdatabase
        WHERE s.setting LIKE 'session\_replication\_role=%' AND s.setting NOT LIKE '%=origin';
    RETURN QUERY
        SELECT 'error', 'a user is given to sessions that nobody has signed in to', format('orgusers.user_id is set%s%s.',
                   coalesce(format(' for role %I', r.rolname), ''), coalesce(format(' in database %I', d.datname), '')),
               'ALTER ROLE or ALTER DATABASE ... RESET orgusers.user_id.'
        FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
        LEFT JOIN pg_roles r ON r.oid = s.setrole
        LEFT JOIN pg_database d ON d.oid = s.setdatabase
        WHERE c.setting LIKE 'orgusers.user\_id=_%';
    RETURN QUERY
        SELECT 'error', 'library and extension are of different versions',
               format('The library is %s, the extension %s.', orgusers.version(), e.extversion), 'ALTER EXTENSION orgusers UPDATE, and restart sessions.'
        FROM pg_extension e WHERE e.extname = 'orgusers' AND e.extversion <> orgusers.version();
    RETURN QUERY
        SELECT 'warning', 'the log shows bound parameters of statements that fail', 'log_parameter_max_length_on_error is not 0.',
               'Set it to 0: bound invitation tokens would be logged as they came.'
        WHERE current_setting('log_parameter_max_length_on_error') <> '0';

    -- Mail
    RETURN QUERY
        SELECT 'warning', 'invitations cannot be mailed', 'There is no mailer key in use.',
               'Run "orgusers-mailer keygen --out FILE" and register the public key with add_mailer_key().'
        WHERE EXISTS (SELECT FROM orgusers.policies) AND NOT EXISTS (SELECT FROM orgusers.mailer_keys k WHERE k.retired_at IS NULL);
    RETURN QUERY
        SELECT 'error', 'mail has been given up', format('%s mails; the latest error: %s.', s.dead,
                   (SELECT m.last_error FROM orgusers.mail_outbox m WHERE m.status = 'dead' ORDER BY m.changed_at DESC LIMIT 1)),
               'Mend the cause, then requeue_mail().'
        FROM orgusers.mail_status() s WHERE s.dead > 0;
    RETURN QUERY
        SELECT 'error', 'mail is not sent', format('The mail that waits longest has been due for %s%s.', date_trunc('second', s.oldest_due),
                   CASE WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = 'orgusers-mailer') THEN '' ELSE ', and no mailer is connected' END),
               'Start orgusers-mailer, or look at its log.'
        FROM orgusers.mail_status() s WHERE s.oldest_due > interval '15 minutes';
    RETURN QUERY
        SELECT 'warning', 'mail of another installation is held back', format('%s mails came with a dump.', s.held), 'adopt_mail() if this database takes its place.'
        FROM orgusers.mail_status() s WHERE s.held > 0;

    -- Rules that do not hold
    RETURN QUERY
        SELECT 'error', 'a rule does not hold in an organization', format('Organization %s, %s: %s', b.org_id, b.invariant, b.detail),
               'Triggers were off when this was written. Mend the rows with triggers on.'
        FROM orgusers.broken_invariants b ORDER BY b.org_id, b.invariant, b.detail;
    IF thorough THEN
        RETURN QUERY
            SELECT 'error', 'rows refer to what is not there', format('%s rows of table %s break %I.', b.broken, b.relation, b.reference),
                   'Triggers were off when these were written. Delete or mend the rows.'
            FROM orgusers.broken_references() b;
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.health_check(boolean) IS 'What weakens the promises in this database, a row for each finding, none when all is well. severity: error, a promise does not hold or may not; warning, something is missing or may be meant so. Looks at roles and grants, tables that refer to organizations, triggers and settings, mail that is stuck, and organizations in which a rule is broken; thorough also reads every table for broken foreign keys. For the database''s owner; pg_read_all_stats lets it see whether a mailer is connected';
