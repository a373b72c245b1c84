-- When users were last active, and which areas they have been shown.
--
-- Users write here by themselves, maybe in transactions that stay open.  So there is no foreign key to the membership:
-- its lock would be in the way of a removal.  What has no membership counts for nothing, and goes with it.

CREATE TABLE orgusers.last_activity (
    org_id  uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES orgusers.users ON DELETE CASCADE,
    at      timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id)
) WITH (fillfactor = 80);
CREATE INDEX last_activity_user_id_idx ON orgusers.last_activity (user_id);
COMMENT ON TABLE orgusers.last_activity IS 'When a user was last active in an organization, give or take the policy''s activity_interval. Written by record_activity()';
SELECT pg_extension_config_dump('orgusers.last_activity', '');

CREATE TABLE orgusers.seen_areas (
    org_id  uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES orgusers.users ON DELETE CASCADE,
    area    text NOT NULL,
    PRIMARY KEY (org_id, user_id, area)
);
CREATE INDEX seen_areas_user_id_idx ON orgusers.seen_areas (user_id);
COMMENT ON TABLE orgusers.seen_areas IS 'Areas that new_areas() has reported to a user in an organization';
SELECT pg_extension_config_dump('orgusers.seen_areas', '');

CREATE FUNCTION orgusers.forget_activity() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What the user's own open transaction holds is left behind rather than waited for.
    DELETE FROM orgusers.last_activity a WHERE (a.org_id, a.user_id) IN
        (SELECT l.org_id, l.user_id FROM gone JOIN orgusers.last_activity l USING (org_id, user_id) FOR UPDATE OF l SKIP LOCKED);
    DELETE FROM orgusers.seen_areas a WHERE (a.org_id, a.user_id, a.area) IN
        (SELECT s.org_id, s.user_id, s.area FROM gone JOIN orgusers.seen_areas s USING (org_id, user_id) FOR UPDATE OF s SKIP LOCKED);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION orgusers.forget_activity() IS 'Trigger: what is noted of users goes with their memberships';
CREATE TRIGGER forget_activity AFTER DELETE ON orgusers.memberships
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION orgusers.forget_activity();
COMMENT ON TRIGGER forget_activity ON orgusers.memberships IS 'What is noted of users goes with their memberships';

-- Apart from record_activity() so that the lock_timeout is for this alone.
CREATE FUNCTION orgusers.note_activity(org_id uuid, user_id uuid, recent timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1ms' AS $$
#variable_conflict use_column
BEGIN
    -- Another request of the user may be recording: it is neither waited for nor a reason to fail.
    PERFORM FROM orgusers.last_activity a WHERE a.org_id = note_activity.org_id AND a.user_id = note_activity.user_id FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE orgusers.last_activity a SET at = clock_timestamp()
            WHERE a.org_id = note_activity.org_id AND a.user_id = note_activity.user_id AND a.at <= recent;
    ELSIF NOT EXISTS (SELECT FROM orgusers.last_activity a WHERE a.org_id = note_activity.org_id AND a.user_id = note_activity.user_id) THEN
        INSERT INTO orgusers.last_activity (org_id, user_id, at) VALUES (note_activity.org_id, note_activity.user_id, clock_timestamp())
            ON CONFLICT DO NOTHING;
    END IF;
EXCEPTION WHEN serialization_failure OR lock_not_available OR foreign_key_violation THEN
    -- At REPEATABLE READ another has recorded since this transaction began; or another is about to record the user's
    -- first activity; or the user or the organization is being deleted, or just was.
    RETURN;
END $$;
COMMENT ON FUNCTION orgusers.note_activity(uuid, uuid, timestamptz) IS 'Notes a user''s activity now, if what is noted is not after the time recent, and nobody else is about to. Internal';

CREATE FUNCTION orgusers.record_activity(org_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor  uuid := orgusers.require_user();
    recent timestamptz;
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    -- The common case ends here, with nothing written or locked.
    SELECT clock_timestamp() - p.activity_interval INTO recent
        FROM orgusers.memberships m
        JOIN orgusers.organizations o ON o.id = m.org_id
        JOIN orgusers.policies p ON p.id = o.policy
        LEFT JOIN orgusers.last_activity a ON a.org_id = m.org_id AND a.user_id = m.user_id
        WHERE m.org_id = record_activity.org_id AND m.user_id = actor AND m.status = 'active'
          AND (a.at IS NULL OR a.at <= clock_timestamp() - p.activity_interval);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM orgusers.note_activity(record_activity.org_id, actor, recent);
END $$;
COMMENT ON FUNCTION orgusers.record_activity(uuid) IS 'Notes that the actor is active in the organization now, for list_users(). Meant to be called with each request: it writes only when what is noted is older than the policy''s activity_interval, waits for no other request, and does nothing in a read-only transaction, as on a standby, nor where the actor is not an active user. OU001 nobody is signed in, OU007 the actor was deleted meanwhile';
