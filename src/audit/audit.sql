-- The audit trail: who changed what and when, what was there before and after.  Written by triggers alone, so that
-- direct DML is in it as well as what the functions do; see doc/audit.md.

-- No foreign keys: the trail outlives what it tells of.
CREATE TABLE orgusers.audit_log (
    org_id      uuid NOT NULL,
    id          uuid NOT NULL DEFAULT orgusers.new_id(),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    actor_id    uuid DEFAULT orgusers.current_user_id(),
    db_role     text NOT NULL DEFAULT coalesce(nullif(current_setting('role'), 'none'), session_user),
    db_login    text NOT NULL DEFAULT session_user,
    action      text NOT NULL CHECK (action IN ('insert', 'update', 'delete', 'truncate', 'purge')),
    relation    text NOT NULL,
    user_id     uuid,
    before      jsonb,
    after       jsonb,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_log_at_idx ON orgusers.audit_log USING brin (at);
COMMENT ON TABLE orgusers.audit_log IS 'Audit trail: one row for each row that was changed in the extension''s tables. Written by triggers; no role but the owner can alter it';
COMMENT ON COLUMN orgusers.audit_log.org_id IS 'Organization that the changed row belongs to, which may be gone; 00000000-0000-0000-0000-000000000000 for what all organizations share (users, policies, plans, keys), which only the owner reads';
COMMENT ON COLUMN orgusers.audit_log.id IS 'Ordered by time within a session';
COMMENT ON COLUMN orgusers.audit_log.at IS 'When the row was changed, by the clock';
COMMENT ON COLUMN orgusers.audit_log.transaction IS 'The same for all that was changed in one transaction; of no meaning beyond the cluster that wrote it';
COMMENT ON COLUMN orgusers.audit_log.actor_id IS 'On whose behalf: the actor, or NULL for an anonymous session';
COMMENT ON COLUMN orgusers.audit_log.db_role IS 'Role that the session acted as, by SET ROLE or as its login';
COMMENT ON COLUMN orgusers.audit_log.db_login IS 'Role that the session logged in as';
COMMENT ON COLUMN orgusers.audit_log.action IS 'insert, update or delete of a row; truncate of a table; purge of the trail itself';
COMMENT ON COLUMN orgusers.audit_log.relation IS 'Table of the extension';
COMMENT ON COLUMN orgusers.audit_log.user_id IS 'User whom the row is about; NULL for none';
COMMENT ON COLUMN orgusers.audit_log.before IS 'The row as it was, without secrets; of an update the key and the columns that changed. NULL for an insert';
COMMENT ON COLUMN orgusers.audit_log.after IS 'The row as it became, likewise; of a purge the number of rows and the time before which they were written. NULL for a delete';
SELECT pg_extension_config_dump('orgusers.audit_log', '');

-- Or somebody's organization would be shown what all organizations share.
ALTER TABLE orgusers.organizations ADD CONSTRAINT organizations_id_is_not_shared CHECK (id <> '00000000-0000-0000-0000-000000000000');

-- pg_dump's scripts and pg_restore switch both settings off, and nobody but the owner's own roles gets past the role:
-- within a SECURITY DEFINER function it is still the caller's that is looked at.  In SQL and without SET, so that it
-- becomes part of the triggers' own, prepared, expressions.
CREATE FUNCTION orgusers.is_restore() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN current_setting('row_security') = 'off' AND current_setting('check_function_bodies') = 'off'
        AND pg_has_role(coalesce(nullif(current_setting('role'), 'none')::name, session_user), current_user, 'USAGE');
COMMENT ON FUNCTION orgusers.is_restore() IS 'Whether a dump is being loaded: the session acts as the owner, with row_security and check_function_bodies off. What is inserted then is in the dump''s own trail. Internal';

-- Arguments: the column with the organization, the one with the user (empty: there is none), the columns left out, the key.
CREATE FUNCTION orgusers.audit_statement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO orgusers.audit_log (org_id, action, relation) VALUES ('00000000-0000-0000-0000-000000000000', 'truncate', TG_TABLE_NAME);
    ELSIF TG_OP = 'DELETE' OR NOT orgusers.is_restore() THEN
        INSERT INTO orgusers.audit_log (org_id, action, relation, user_id, before, after)
            SELECT coalesce(image ->> TG_ARGV[0], '00000000-0000-0000-0000-000000000000')::uuid, lower(TG_OP), TG_TABLE_NAME,
                   (image ->> TG_ARGV[1])::uuid, CASE TG_OP WHEN 'DELETE' THEN image END, CASE TG_OP WHEN 'INSERT' THEN image END
            FROM (SELECT to_jsonb(c) - TG_ARGV[2]::text[] AS image FROM changed c OFFSET 0) AS r;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.audit_statement() IS 'Trigger: writes the rows that a statement has inserted or deleted into the audit trail, or that a table was truncated';

CREATE FUNCTION orgusers.audit_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD) - TG_ARGV[2]::text[];
    new_row jsonb := to_jsonb(NEW) - TG_ARGV[2]::text[];
    was     jsonb;
    became  jsonb;
BEGIN
    IF TG_OP = 'INSERT' AND orgusers.is_restore() THEN
        RETURN NULL;
    END IF;
    SELECT CASE TG_OP WHEN 'UPDATE' THEN jsonb_object_agg(n.key, old_row -> n.key) END, jsonb_object_agg(n.key, n.value) INTO was, became
        FROM jsonb_each(new_row) n WHERE n.value IS DISTINCT FROM old_row -> n.key OR n.key = ANY (TG_ARGV[3]::text[]);
    INSERT INTO orgusers.audit_log (org_id, action, relation, user_id, before, after)
        VALUES (coalesce(new_row ->> TG_ARGV[0], '00000000-0000-0000-0000-000000000000')::uuid, lower(TG_OP), TG_TABLE_NAME,
                (new_row ->> TG_ARGV[1])::uuid, was, became);
    -- A row that goes from one organization or user to another is told of in both.
    IF TG_OP = 'UPDATE' AND (old_row ->> TG_ARGV[0] IS DISTINCT FROM new_row ->> TG_ARGV[0]
                             OR old_row ->> TG_ARGV[1] IS DISTINCT FROM new_row ->> TG_ARGV[1]) THEN
        INSERT INTO orgusers.audit_log (org_id, action, relation, user_id, before, after)
            VALUES (coalesce(old_row ->> TG_ARGV[0], '00000000-0000-0000-0000-000000000000')::uuid, 'update', TG_TABLE_NAME,
                    (old_row ->> TG_ARGV[1])::uuid, was, became);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.audit_row() IS 'Trigger: writes an updated row into the audit trail (its key, and what changed), or a single inserted one';

-- What is audited.  Columns that are noise are left out, and an update of nothing else is not told of; secret columns
-- are left out, and an update of them is told of without them.  Tables that are not here are in test/pgtap/F_audit.sql,
-- with the reason.
DO $$
DECLARE
    audited record;
    columns text;
    of_key  text[];
    args    text;
BEGIN
    FOR audited IN
        SELECT * FROM (VALUES
            ('organizations',             'id',     '',        '{epoch}'::text[], '{}'::text[]),
            ('memberships',               'org_id', 'user_id', '{}', '{}'),
            ('roles',                     'org_id', '',        '{}', '{}'),
            ('role_permissions',          'org_id', '',        '{}', '{}'),
            ('membership_roles',          'org_id', 'user_id', '{}', '{}'),
            ('membership_permissions',    'org_id', 'user_id', '{}', '{}'),
            ('groups',                    'org_id', '',        '{}', '{}'),
            ('group_members',             'org_id', 'user_id', '{}', '{}'),
            ('group_roles',               'org_id', '',        '{}', '{}'),
            ('spaces',                    'org_id', '',        '{}', '{}'),
            ('space_members',             'org_id', 'user_id', '{}', '{}'),
            ('space_groups',              'org_id', '',        '{}', '{}'),
            ('subscriptions',             'org_id', '',        '{}', '{}'),
            ('invitations',               'org_id', '',        '{}', '{}'),
            ('invitation_roles',          'org_id', '',        '{}', '{}'),
            ('invitation_groups',         'org_id', '',        '{}', '{}'),
            ('invitation_spaces',         'org_id', '',        '{}', '{}'),
            ('join_links',                'org_id', '',        '{uses}', '{digest}'),
            ('join_link_roles',           'org_id', '',        '{}', '{}'),
            ('join_domains',              'org_id', '',        '{}', '{challenge}'),
            ('join_domain_roles',         'org_id', '',        '{}', '{}'),
            ('users',                     '',       'id',      '{}', '{}'),
            ('assertion_keys',            '',       '',        '{}', '{key}'),
            ('mailer_keys',               '',       '',        '{}', '{}'),
            ('mail_templates',            '',       '',        '{}', '{}'),
            ('permissions',               '',       '',        '{}', '{}'),
            ('plans',                     '',       '',        '{}', '{}'),
            ('policies',                  '',       '',        '{}', '{}'),
            ('role_templates',            '',       '',        '{}', '{}'),
            ('role_template_permissions', '',       '',        '{}', '{}'),
            ('role_template_grants',      '',       '',        '{}', '{}'),
            ('base_permissions',          '',       '',        '{}', '{}')
        ) AS t (relation, org_column, user_column, noise, secret)
    LOOP
        -- By their bytes: values that compare as equal, such as addresses in other letter case, can differ.  By the
        -- function: with the operator pg_upgrade writes down a comparison of each column, for which there is none.
        SELECT format('(pg_catalog.record_image_ne(ROW(%s), ROW(%s)))', string_agg(format('OLD.%I', a.attname), ', ' ORDER BY a.attnum),
                      string_agg(format('NEW.%I', a.attname), ', ' ORDER BY a.attnum)) INTO columns
            FROM pg_attribute a WHERE a.attrelid = ('orgusers.' || audited.relation)::regclass
              AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (audited.noise);
        SELECT array_agg(a.attname ORDER BY a.attnum) INTO of_key
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = ('orgusers.' || audited.relation)::regclass AND i.indisprimary;
        args := format('%L, %L, %L, %L', audited.org_column, audited.user_column, audited.noise || audited.secret, of_key);
        EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON orgusers.%I REFERENCING NEW TABLE AS changed
                            FOR EACH STATEMENT EXECUTE FUNCTION orgusers.audit_statement(%s)', audited.relation, args);
        EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON orgusers.%I
                            FOR EACH ROW WHEN %s EXECUTE FUNCTION orgusers.audit_row(%s)', audited.relation, columns, args);
        EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON orgusers.%I REFERENCING OLD TABLE AS changed
                            FOR EACH STATEMENT EXECUTE FUNCTION orgusers.audit_statement(%s)', audited.relation, args);
        EXECUTE format('CREATE TRIGGER audit_truncate AFTER TRUNCATE ON orgusers.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION orgusers.audit_statement()', audited.relation);
        EXECUTE format('COMMENT ON TRIGGER audit_insert ON orgusers.%I IS ''Writes the audit trail''', audited.relation);
        EXECUTE format('COMMENT ON TRIGGER audit_update ON orgusers.%I IS ''Writes the audit trail''', audited.relation);
        EXECUTE format('COMMENT ON TRIGGER audit_delete ON orgusers.%I IS ''Writes the audit trail''', audited.relation);
        EXECUTE format('COMMENT ON TRIGGER audit_truncate ON orgusers.%I IS ''Writes the audit trail''', audited.relation);
    END LOOP;
END $$;

-- Of tokens, that somebody was shown a link; what else becomes of them can be seen from their invitation.
CREATE TRIGGER audit_link AFTER INSERT ON orgusers.invitation_tokens
    FOR EACH ROW WHEN (NEW.kind = 'link') EXECUTE FUNCTION orgusers.audit_row('org_id', '', '{digest}', '{}');
COMMENT ON TRIGGER audit_link ON orgusers.invitation_tokens IS 'Writes the audit trail';

CREATE FUNCTION orgusers.list_audit(org_id uuid, earlier_than uuid DEFAULT NULL, page integer DEFAULT 100,
                                    of_relation text DEFAULT NULL, by_actor uuid DEFAULT NULL, about_user uuid DEFAULT NULL)
    RETURNS TABLE (id uuid, at timestamptz, actor_id uuid, actor text, db_role text, action text, relation text,
                   user_id uuid, about text, before jsonb, after jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(list_audit.org_id, 'audit.view');
    -- The address is shown of the organization's own users only.
    RETURN QUERY
        SELECT a.id, a.at, a.actor_id, coalesce(actor.display_name, CASE WHEN am.user_id IS NOT NULL THEN actor.email::text END), a.db_role,
               a.action, a.relation, a.user_id, coalesce(u.display_name, CASE WHEN um.user_id IS NOT NULL THEN u.email::text END), a.before, a.after
        FROM orgusers.audit_log a
        LEFT JOIN orgusers.users actor ON actor.id = a.actor_id
        LEFT JOIN orgusers.memberships am ON am.org_id = a.org_id AND am.user_id = a.actor_id
        LEFT JOIN orgusers.users u ON u.id = a.user_id
        LEFT JOIN orgusers.memberships um ON um.org_id = a.org_id AND um.user_id = a.user_id
        WHERE a.org_id = list_audit.org_id
          AND (list_audit.earlier_than IS NULL OR a.id < list_audit.earlier_than)
          AND (list_audit.of_relation IS NULL OR a.relation = list_audit.of_relation)
          AND (list_audit.by_actor IS NULL OR a.actor_id = list_audit.by_actor)
          AND (list_audit.about_user IS NULL OR a.user_id = list_audit.about_user)
        ORDER BY a.id DESC
        LIMIT least(greatest(coalesce(list_audit.page, 100), 1), 1000);
END $$;
COMMENT ON FUNCTION orgusers.list_audit(uuid, uuid, integer, text, uuid, uuid) IS 'The organization''s audit trail, newest first: of one table, by one actor or about one user (NULL: all), earlier than the entry with that id (NULL: from the newest), page rows at most (1 to 1000). actor and about are names as of now: the display name, or the address of a user of the organization without one; NULL for somebody who is gone. Columns as in the table audit_log. Needs audit.view. Raises what require() raises';

CREATE FUNCTION orgusers.purge_audit(older_than interval, org_id uuid DEFAULT NULL, most bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limit_at timestamptz := clock_timestamp() - older_than;
    purged   bigint;
BEGIN
    IF older_than IS NULL OR older_than < interval '0' OR most < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'older_than and most must not be negative';
    END IF;
    -- Every trail that loses something says so; not for entries of the kind that says it, or it would never end.
    WITH chosen AS (
        SELECT a.org_id, a.id FROM orgusers.audit_log a
        WHERE a.at < limit_at AND (purge_audit.org_id IS NULL OR a.org_id = purge_audit.org_id)
        LIMIT most
    ), gone AS (
        DELETE FROM orgusers.audit_log a USING chosen c WHERE a.org_id = c.org_id AND a.id = c.id
        RETURNING a.org_id, a.action
    ), told AS (
        INSERT INTO orgusers.audit_log (org_id, action, relation, after)
        SELECT g.org_id, 'purge', 'audit_log', jsonb_build_object('rows', count(*), 'before', limit_at)
        FROM gone g GROUP BY g.org_id HAVING bool_or(g.action <> 'purge')
    )
    SELECT count(*) INTO purged FROM gone;
    RETURN purged;
END $$;
COMMENT ON FUNCTION orgusers.purge_audit(interval, uuid, bigint) IS 'Deletes what was written to the audit trail longer ago than older_than, of one organization or of all and of what they share (NULL), most rows at most (NULL: all), and returns how many. Each trail that loses entries gets one that says so. OU009 for NULL or a negative time or number. For the database''s owner';
