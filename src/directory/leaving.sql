-- Leaving an organization, in two steps: what it would do, and doing it.

CREATE FUNCTION orgusers.preview_leaving(org_id uuid)
    RETURNS TABLE (organization text, roles text[], groups text[], spaces text[], remaining_count integer,
                   refused text, reason text, hint text, confirmation text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    actor uuid := orgusers.require_user();
    mine  orgusers.memberships;
    rules orgusers.policies := orgusers.policy_of(preview_leaving.org_id);
BEGIN
    SELECT * INTO mine FROM orgusers.memberships m WHERE m.org_id = preview_leaving.org_id AND m.user_id = actor;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization among yours',
            HINT = 'my_organizations() lists them.';
    END IF;
    SELECT o.name INTO STRICT organization FROM orgusers.organizations o WHERE o.id = mine.org_id;
    roles := ARRAY(SELECT DISTINCT r.name FROM orgusers.held_roles h JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
                   WHERE h.org_id = mine.org_id AND h.user_id = mine.user_id ORDER BY r.name);
    groups := ARRAY(SELECT g.name FROM orgusers.group_members gm JOIN orgusers.groups g ON g.org_id = gm.org_id AND g.id = gm.group_id
                    WHERE gm.org_id = mine.org_id AND gm.user_id = mine.user_id ORDER BY g.name);
    spaces := ARRAY(SELECT DISTINCT s.name FROM orgusers.assigned_spaces a JOIN orgusers.spaces s ON s.org_id = a.org_id AND s.id = a.space_id
                    WHERE a.org_id = mine.org_id AND a.user_id = mine.user_id ORDER BY s.name);
    remaining_count := (SELECT count(*) FROM orgusers.memberships m
                        WHERE m.user_id = mine.user_id AND m.org_id <> mine.org_id AND m.status = 'active');
    IF NOT rules.leaving THEN
        refused := 'OU109';
        reason := 'you may not leave this organization by yourself';
        hint := 'Ask a user of the organization who may remove users.';
    ELSIF EXISTS (SELECT FROM orgusers.subscriptions s WHERE s.org_id = mine.org_id AND s.billing_admin_id = mine.user_id) THEN
        refused := 'OU302';
        reason := 'you are the billing admin of this organization';
        hint := 'Choose another billing admin first, with set_billing_admin().';
    ELSIF mine.status = 'active' THEN
        SELECT 'OU303', format('the role %s would be left with too few users', quote_ident(t.name)), 'Give the role to another user first.'
            INTO refused, reason, hint
            FROM orgusers.membership_roles own
            JOIN orgusers.roles r ON r.org_id = own.org_id AND r.id = own.role_id
            JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
            WHERE own.org_id = mine.org_id AND own.user_id = mine.user_id AND t.least_holders > 0
              AND t.least_holders > (SELECT count(DISTINCT mr.user_id)
                                     FROM orgusers.roles like_it
                                     JOIN orgusers.membership_roles mr ON mr.org_id = like_it.org_id AND mr.role_id = like_it.id
                                     JOIN orgusers.memberships m ON m.org_id = mr.org_id AND m.user_id = mr.user_id
                                     WHERE like_it.org_id = r.org_id AND like_it.template = r.template
                                       AND m.user_id <> mine.user_id AND m.status = 'active')
            ORDER BY t.name LIMIT 1;
    END IF;
    -- Whoever confirms has been shown this, and nothing has changed since.
    IF refused IS NULL THEN
        confirmation := encode(sha256(convert_to(jsonb_build_array(mine.org_id, mine.user_id, mine.status, extract(epoch FROM mine.joined_at),
            organization, roles, groups, spaces, remaining_count)::text, 'UTF8')), 'hex');
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION orgusers.preview_leaving(uuid) IS 'What it would do if the actor left the organization, in one row: the organization''s name; the roles, groups and spaces that would go, also those that come with groups; how many organizations would remain in which the actor is an active user; and the text to confirm it with to leave_organization(). When leaving is refused there is no confirmation, but refused, the SQLSTATE (OU109 by the policy, OU302 the billing admin, OU303 too few holders of a role), with reason and hint. Changes nothing. Any user of the organization, a deactivated one too. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 not a user of it (whether it exists is not told)';

CREATE FUNCTION orgusers.announce_leaving(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT orgusers.enqueue_mail(announce_leaving.org_id, 'user_left', u.email, u.display_name, u.locale, orgusers.mail_people(announce_leaving.user_id))
        FROM orgusers.users u
        WHERE u.id <> announce_leaving.user_id
          AND u.id IN (SELECT r.user_id FROM orgusers.rights r
                       WHERE r.org_id = announce_leaving.org_id AND r.permission = 'users.remove' AND r.everywhere)
        ORDER BY u.id;
END;
COMMENT ON FUNCTION orgusers.announce_leaving(uuid, uuid) IS 'Mails those who may remove users from the organization that a user has left it. Internal';

CREATE FUNCTION orgusers.leave_organization(org_id uuid, confirmation text)
    RETURNS TABLE (remaining text, remaining_count integer, next_org_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    actor uuid := orgusers.require_user();
    step  record;
BEGIN
    FOR round IN 1 .. 2 LOOP
        -- Looked at again behind the lock, which nobody gets who is not about to leave.
        SELECT * INTO STRICT step FROM orgusers.preview_leaving(leave_organization.org_id);
        IF step.refused IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = step.refused, MESSAGE = step.reason, HINT = step.hint;
        END IF;
        IF step.confirmation IS DISTINCT FROM leave_organization.confirmation THEN
            RAISE EXCEPTION USING ERRCODE = 'OU116', MESSAGE = 'this does not confirm what leaving would do now',
                HINT = 'Show the user what preview_leaving() says, and pass its confirmation.';
        END IF;
        EXIT WHEN round = 2;
        PERFORM orgusers.lock_organization(leave_organization.org_id);
    END LOOP;
    DELETE FROM orgusers.memberships m WHERE m.org_id = leave_organization.org_id AND m.user_id = actor;
    PERFORM orgusers.check_now();
    PERFORM orgusers.announce_leaving(leave_organization.org_id, actor);
    remaining_count := step.remaining_count;
    remaining := CASE remaining_count WHEN 0 THEN 'none' WHEN 1 THEN 'one' ELSE 'several' END;
    next_org_id := orgusers.current_organization_id();
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION orgusers.leave_organization(uuid, text) IS 'Ends the actor''s own membership in the organization, at once, with roles, groups and spaces there; those who may remove users get mail. confirmation is what preview_leaving() gave: it is for this user, organization and state only. Returns whether several, one or none organizations remain, how many, and the one to go on in (current_organization_id(); NULL for none). Any user of the organization, a deactivated one too. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 not a user of it (whether it exists is not told), OU109 the policy does not let users leave, OU116 wrong or outdated confirmation, OU302 the billing admin, OU303 too few holders of a role, OU404 no mail template';
