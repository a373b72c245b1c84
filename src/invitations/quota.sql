-- How many invitations a user may send for an organization within a day.

CREATE TABLE orgusers.invitation_quota (
    org_id  uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
    user_id uuid NOT NULL,
    day     date NOT NULL,
    used    integer NOT NULL CHECK (used > 0),
    PRIMARY KEY (org_id, user_id, day)
);
COMMENT ON TABLE orgusers.invitation_quota IS 'Invitations that a user has sent for an organization within a day, where the policy limits them';
COMMENT ON COLUMN orgusers.invitation_quota.user_id IS 'Who has sent them. No foreign key: the user may be gone, or act from the account above; who comes back on the same day has what was left';
COMMENT ON COLUMN orgusers.invitation_quota.day IS 'Date in the organization''s time zone';
SELECT pg_extension_config_dump('orgusers.invitation_quota', '');

CREATE FUNCTION orgusers.today(org_id uuid) RETURNS date
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT (clock_timestamp() AT TIME ZONE o.time_zone)::date FROM orgusers.organizations o WHERE o.id = today.org_id);
END $$;
COMMENT ON FUNCTION orgusers.today(uuid) IS 'The date in the organization''s time zone, by the clock. Internal';

CREATE FUNCTION orgusers.quota_left(org_id uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A limit that was lowered since can be below what is used.
    RETURN (SELECT greatest(p.daily_invitations - coalesce(
                (SELECT q.used FROM orgusers.invitation_quota q
                 WHERE q.org_id = quota_left.org_id AND q.user_id = orgusers.current_user_id() AND q.day = orgusers.today(quota_left.org_id)), 0), 0)
            FROM orgusers.policy_of(quota_left.org_id) p WHERE p.daily_invitations IS NOT NULL);
END $$;
COMMENT ON FUNCTION orgusers.quota_left(uuid) IS 'How many invitations the actor can still send for the organization today; NULL without a limit. Internal';

CREATE FUNCTION orgusers.quota_refusal(org_id uuid) RETURNS text[]
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT ARRAY['OU212', format('you can send %s invitations a day for this organization', p.daily_invitations),
                 format('The next day begins on %s at 00:00, %s.', to_char(orgusers.today(o.id) + 1, 'YYYY-MM-DD'), o.time_zone),
                 format('Left today: %s.', orgusers.quota_left(o.id))]
    FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy WHERE o.id = quota_refusal.org_id;
END;
COMMENT ON FUNCTION orgusers.quota_refusal(uuid) IS 'SQLSTATE (OU212), message, hint and detail for who has sent the day''s invitations. Internal';

CREATE FUNCTION orgusers.take_quota(org_id uuid, wanted integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    most    integer := (orgusers.policy_of(take_quota.org_id)).daily_invitations;
    today   date;
    taken   integer;
    refusal text[];
BEGIN
    IF most IS NULL OR wanted < 1 THEN
        RETURN;
    END IF;
    today := orgusers.today(take_quota.org_id);
    -- The row is what parallel sessions queue behind: the later one adds to what the earlier one has committed.
    INSERT INTO orgusers.invitation_quota AS q (org_id, user_id, day, used)
        SELECT take_quota.org_id, orgusers.current_user_id(), today, wanted WHERE wanted <= most
        ON CONFLICT (org_id, user_id, day) DO UPDATE SET used = q.used + excluded.used WHERE q.used <= most - excluded.used
        RETURNING q.used INTO taken;
    IF NOT FOUND THEN
        refusal := orgusers.quota_refusal(take_quota.org_id);
        RAISE EXCEPTION USING ERRCODE = refusal[1], MESSAGE = refusal[2], HINT = refusal[3],
            DETAIL = refusal[4];
    END IF;
    -- Not yesterday's: it can be today again in another time zone, up to two days back.
    IF taken = wanted THEN
        DELETE FROM orgusers.invitation_quota q
            WHERE q.org_id = take_quota.org_id AND q.day < today - 2;
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.take_quota(uuid, integer) IS 'Takes so many invitations (wanted) from what the policy''s daily_invitations leaves the actor today, all or none: OU212. A rollback gives them back. Without a limit nothing is counted. The caller holds the organization''s lock. Internal';

CREATE FUNCTION orgusers.invitations_left(org_id uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(invitations_left.org_id, 'users.invite');
    RETURN orgusers.quota_left(invitations_left.org_id);
END $$;
COMMENT ON FUNCTION orgusers.invitations_left(uuid) IS 'How many invitations the actor can still send for the organization today, by the organization''s time zone; NULL without a limit. Needs users.invite. Raises what require() raises';
