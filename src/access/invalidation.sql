-- Telling every backend whose rights have changed; see doc/rights.md.

-- Proxies: types without attributes have a relation to invalidate, but no storage.
DO $$
BEGIN
    FOR i IN 0 .. 15 LOOP
        EXECUTE format('CREATE TYPE orgusers.rights_user_%s AS ()', i);
        EXECUTE format('COMMENT ON TYPE orgusers.rights_user_%s IS ''Proxy that is invalidated when rights of users of this slot change. Internal''', i);
        EXECUTE format('CREATE TYPE orgusers.rights_org_%s AS ()', i);
        EXECUTE format('COMMENT ON TYPE orgusers.rights_org_%s IS ''Proxy that is invalidated when rights within organizations of this slot change. Internal''', i);
    END LOOP;
END $$;
CREATE TYPE orgusers.rights_shared AS ();
COMMENT ON TYPE orgusers.rights_shared IS 'Proxy that is invalidated when what all organizations share changes. Internal';

CREATE FUNCTION orgusers.rights_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'orgusers_rights_changed';
COMMENT ON FUNCTION orgusers.rights_changed() IS 'Trigger: tells every backend, at commit, that rights have changed: of the users or in the organizations of the row''s columns that are its arguments (user_id, org_id), or everybody''s';

-- ENABLE ALWAYS: also for what logical replication applies, and for session_replication_role = replica.  That
-- fires row triggers only, so there is a row trigger on each table, and one for TRUNCATE beside it.
DO $$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT * FROM (VALUES
            ('memberships',               'user_id'),
            ('membership_roles',          'user_id'),
            ('group_members',             'user_id'),
            ('group_roles',               'org_id'),
            ('roles',                     'org_id'),
            ('role_permissions',          'org_id'),
            ('membership_permissions',    'user_id'),
            ('space_members',             'user_id'),
            ('space_groups',              'org_id'),
            -- a sub-account is also of those who hold rights in its parent
            ('organizations',             'id, parent_id'),
            ('role_templates',            NULL),
            ('base_permissions',          NULL),
            ('role_template_permissions', NULL),
            ('permissions',               NULL)
        ) AS t (relation, key)
    LOOP
        EXECUTE format('CREATE TRIGGER rights_changed AFTER INSERT OR DELETE ON orgusers.%I
                            FOR EACH ROW EXECUTE FUNCTION orgusers.rights_changed(%s)', source.relation, source.key);
        EXECUTE format('CREATE TRIGGER rights_updated AFTER UPDATE ON orgusers.%I
                            FOR EACH ROW WHEN (%s) EXECUTE FUNCTION orgusers.rights_changed(%s)', source.relation,
            CASE source.relation
                -- not for what says nothing of rights: the epoch, when somebody was last seen
                WHEN 'organizations' THEN '(OLD.policy, OLD.parent_id) IS DISTINCT FROM (NEW.policy, NEW.parent_id)'
                WHEN 'memberships' THEN '(OLD.org_id, OLD.user_id, OLD.status) IS DISTINCT FROM (NEW.org_id, NEW.user_id, NEW.status)'
                ELSE 'OLD.* IS DISTINCT FROM NEW.*'
            END, source.key);
        EXECUTE format('CREATE TRIGGER rights_truncated AFTER TRUNCATE ON orgusers.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION orgusers.rights_changed()', source.relation);
        EXECUTE format('COMMENT ON TRIGGER rights_changed ON orgusers.%I IS ''Tells every backend whose rights have changed''', source.relation);
        EXECUTE format('COMMENT ON TRIGGER rights_updated ON orgusers.%I IS ''Tells every backend whose rights have changed''', source.relation);
        EXECUTE format('COMMENT ON TRIGGER rights_truncated ON orgusers.%I IS ''Tells every backend that everybody''''s rights have changed''', source.relation);
        EXECUTE format('ALTER TABLE orgusers.%I ENABLE ALWAYS TRIGGER rights_changed, ENABLE ALWAYS TRIGGER rights_updated, ENABLE ALWAYS TRIGGER rights_truncated', source.relation);
    END LOOP;
END $$;
