-- The invited person's side: looking, accepting, declining.

CREATE FUNCTION orgusers.invitation_by_token(token orgusers.invitation_token)
    RETURNS TABLE (org_id uuid, invitation_id uuid, by_mail boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.org_id, t.invitation_id, t.kind = 'mail' FROM orgusers.invitation_tokens t
        WHERE t.org_id = orgusers.token_organization(token) AND t.digest = orgusers.token_digest(token);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU203', MESSAGE = 'this token opens no invitation',
            HINT = 'Use the link of the latest mail, or ask for the invitation to be sent again.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.invitation_by_token(orgusers.invitation_token) IS 'The invitation that a token opens, and whether the token went out by mail; OU203, which says nothing more, when it opens none. Internal';

CREATE FUNCTION orgusers.preview_invitation(token orgusers.invitation_token)
    RETURNS TABLE (org_id uuid, organization text, email orgusers.email, invited_by text, roles text[], spaces text[], status text, expires_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened record;
BEGIN
    SELECT * INTO opened FROM orgusers.invitation_by_token(token);
    RETURN QUERY
        SELECT o.id, o.name, i.email, coalesce(u.display_name, u.email::text),
               ARRAY(SELECT r.name FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.org_id = ir.org_id AND r.id = ir.role_id
                     WHERE ir.org_id = i.org_id AND ir.invitation_id = i.id ORDER BY r.name),
               ARRAY(SELECT s.name FROM orgusers.invitation_spaces sp JOIN orgusers.spaces s ON s.org_id = sp.org_id AND s.id = sp.space_id
                     WHERE sp.org_id = i.org_id AND sp.invitation_id = i.id ORDER BY s.name),
               orgusers.status_now(i), i.expires_at
        FROM orgusers.invitations i
        JOIN orgusers.organizations o ON o.id = i.org_id
        LEFT JOIN orgusers.users u ON u.id = i.invited_by
        WHERE i.org_id = opened.org_id AND i.id = opened.invitation_id;
END $$;
COMMENT ON FUNCTION orgusers.preview_invitation(orgusers.invitation_token) IS 'What the invitation says that a token opens: organization, address, inviter, roles, spaces, status (pending, expired, accepted, declined, canceled) and expiry. Changes nothing, so that mail scanners that follow links burn nothing. Whoever has the token may call it, also anonymously. OU203 the token opens nothing';

CREATE FUNCTION orgusers.require_open(invitation orgusers.invitations) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require_pending(invitation);
    IF invitation.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'OU204', MESSAGE = 'the invitation has expired',
            HINT = 'Ask for it to be sent again.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_open(orgusers.invitations) IS 'Raises OU205 for an invitation that is not pending, OU204 for one that has expired by the clock. Internal';

CREATE FUNCTION orgusers.invitation_to_answer(org_id uuid, id uuid, token orgusers.invitation_token, answer text) RETURNS orgusers.invitations
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    by_mail    boolean := false;
    actor      orgusers.users;
    invitation orgusers.invitations;
BEGIN
    -- Locked: the address that is compared here is the one that the answer will prove.
    SELECT * INTO actor FROM orgusers.users u WHERE u.id = orgusers.current_user_id() FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM orgusers.require_user();
    END IF;
    -- Asked before further locks are taken, so that nobody holds one with an invitation that is not open, and again
    -- behind them: what was waited for can have ended the token, or answered.
    FOR round IN 1 .. 2 LOOP
        IF round = 1 THEN
            SELECT * INTO invitation FROM orgusers.invitations i WHERE i.org_id = invitation_to_answer.org_id AND i.id = invitation_to_answer.id;
        ELSE
            IF answer = 'accepted' THEN
                PERFORM orgusers.lock_organization(invitation.org_id);
            END IF;
            SELECT * INTO invitation FROM orgusers.invitations i
                WHERE i.org_id = invitation_to_answer.org_id AND i.id = invitation_to_answer.id FOR UPDATE;
        END IF;
        IF token IS NOT NULL THEN
            SELECT t.by_mail INTO by_mail FROM orgusers.invitation_by_token(token) t;
        END IF;
        -- Who has no token only knows of invitations to the own address.
        IF invitation.id IS NULL OR token IS NULL AND actor.email IS DISTINCT FROM invitation.email THEN
            RAISE EXCEPTION USING ERRCODE = 'OU211', MESSAGE = 'no such invitation for you',
                HINT = 'my_invitations() lists them.';
        ELSIF actor.email IS DISTINCT FROM invitation.email THEN
            RAISE EXCEPTION USING ERRCODE = 'OU206', MESSAGE = 'the invitation is for another address',
                HINT = 'Sign in with the address that was invited.';
        ELSIF actor.email_verified_at IS NULL AND NOT by_mail THEN
            RAISE EXCEPTION USING ERRCODE = 'OU207', MESSAGE = 'your address is not verified',
                HINT = 'Follow the link in the invitation''s mail, or have the address verified.';
        END IF;
        IF invitation.status = answer AND invitation.answered_by = actor.id
           AND (answer = 'declined' OR orgusers.is_member(invitation.org_id)) THEN
            RETURN NULL;
        END IF;
        IF invitation.status <> 'pending' OR invitation.expires_at <= clock_timestamp() THEN
            PERFORM orgusers.require_open(invitation);
        END IF;
    END LOOP;
    RETURN invitation;
END $$;
COMMENT ON FUNCTION orgusers.invitation_to_answer(uuid, uuid, orgusers.invitation_token, text) IS 'The invitation, locked for this answer (accepted, declined) of the actor, accepted with the organization''s lock; NULL when the actor has given that answer before. The actor has the invited address, proven before or by a mailed token, and the actor''s directory entry is locked. Without a token an invitation to another address is none (OU211). OU001, OU203 to OU207, OU211. Internal';

-- Planned once, and by indexes, as invite() is.
CREATE FUNCTION orgusers.accept(org_id uuid, id uuid, token orgusers.invitation_token) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    actor      uuid := orgusers.current_user_id();
    invitation orgusers.invitations := orgusers.invitation_to_answer(accept.org_id, accept.id, accept.token, 'accepted');
    gift       orgusers.invitation_gift;
BEGIN
    IF invitation IS NULL THEN
        RETURN accept.org_id;
    END IF;
    gift := orgusers.given_by(invitation);
    PERFORM orgusers.require_inviter(invitation, gift, 'OU210');
    -- Who reaches the organization from above, or has changed the address, would give roles to themselves.
    IF invitation.invited_by = actor THEN
        PERFORM orgusers.refuse_self(invitation.org_id, invitation.invited_by,
            (orgusers.policy_of(invitation.org_id)).own_role_change, 'accept an invitation from');
    END IF;

    PERFORM orgusers.enroll(invitation.org_id, actor, gift.role_ids, invitation.invited_by);
    IF gift.group_ids <> '{}' THEN
        INSERT INTO orgusers.group_members (org_id, group_id, user_id)
            SELECT invitation.org_id, unnest(gift.group_ids), actor ON CONFLICT DO NOTHING;
    END IF;
    IF gift.space_ids <> '{}' THEN
        INSERT INTO orgusers.space_members (org_id, space_id, user_id)
            SELECT invitation.org_id, unnest(gift.space_ids), actor ON CONFLICT DO NOTHING;
    END IF;
    UPDATE orgusers.invitations i SET status = 'accepted', answered_by = actor, closed_at = clock_timestamp()
        WHERE i.org_id = invitation.org_id AND i.id = invitation.id;
    PERFORM orgusers.withdraw_mail(invitation.org_id, invitation.id);

    -- The mailed token has proven the address; without one it was proven before.
    IF accept.token IS NOT NULL THEN
        UPDATE orgusers.users u SET email_verified_at = now() WHERE u.id = actor AND u.email_verified_at IS NULL;
    END IF;
    PERFORM orgusers.check_now();
    RETURN invitation.org_id;
END $$;
COMMENT ON FUNCTION orgusers.accept(uuid, uuid, orgusers.invitation_token) IS 'Makes the actor a user of the organization as the invitation says. See accept_invitation(). Internal';

CREATE FUNCTION orgusers.accept_invitation(token orgusers.invitation_token) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened record;
BEGIN
    PERFORM orgusers.require_user();
    SELECT * INTO opened FROM orgusers.invitation_by_token(token);
    RETURN orgusers.accept(opened.org_id, opened.invitation_id, token);
END $$;
COMMENT ON FUNCTION orgusers.accept_invitation(orgusers.invitation_token) IS 'Accepts the invitation that a token opens; returns the organization''s id, also when the actor has accepted it before. Pass the token as a bound parameter of its type: then the server''s log shows no usable token. Any signed-in user with the invited address: a token that came by mail proves it, one from invitation_link() needs it verified before. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU109 sent by the actor, where the policy forbids users to change their own roles, OU110 deactivated there, OU113 a user there, with roles of the other kind (free or not), OU203 the token opens nothing, OU204 expired, OU205 answered or canceled, OU206 for another address, OU207 address not verified, OU210 the inviter''s authority has ended, OU301 no seat left, OU304 too many holders of a role, OU306 more spaces than a role can have, OU307 the address is used elsewhere in the tree, OU404 no mail template';

CREATE FUNCTION orgusers.register_and_accept(token orgusers.invitation_token, email orgusers.email, display_name text DEFAULT NULL,
                                             locale text DEFAULT NULL, id uuid DEFAULT NULL)
    RETURNS TABLE (user_id uuid, org_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    before     uuid := orgusers.current_user_id();
    opened     record;
    invitation orgusers.invitations;
BEGIN
    SELECT * INTO opened FROM orgusers.invitation_by_token(token);
    SELECT * INTO STRICT invitation FROM orgusers.invitations i WHERE i.org_id = opened.org_id AND i.id = opened.invitation_id;
    IF register_and_accept.email IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU201', MESSAGE = 'a user needs an e-mail address';
    ELSIF register_and_accept.email <> invitation.email THEN
        RAISE EXCEPTION USING ERRCODE = 'OU206', MESSAGE = 'the invitation is for another address',
            HINT = 'Register with the address that was invited.';
    ELSIF NOT opened.by_mail THEN
        RAISE EXCEPTION USING ERRCODE = 'OU207', MESSAGE = 'this link does not prove the address',
            HINT = 'Follow the link in the invitation''s mail, or have the address verified first.';
    END IF;
    PERFORM orgusers.require_open(invitation);
    IF EXISTS (SELECT FROM orgusers.users u WHERE u.email = register_and_accept.email) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'there is a user with this address',
            HINT = 'Sign in, then accept the invitation with accept_invitation().';
    END IF;
    user_id := orgusers.register_user(invitation.email,
        coalesce(register_and_accept.display_name, nullif(btrim(left(concat_ws(' ', invitation.first_name, invitation.last_name), 200)), '')),
        register_and_accept.id, true, coalesce(register_and_accept.locale, invitation.locale));
    -- The new user accepts; then the session is whose it was.  An error brings that back, too.
    PERFORM orgusers.act_as(user_id);
    org_id := orgusers.accept(opened.org_id, opened.invitation_id, token);
    PERFORM orgusers.act_as(before);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION orgusers.register_and_accept(orgusers.invitation_token, orgusers.email, text, text, uuid) IS 'For a person without an account: makes the user''s directory entry, with the invited address, which a token that came by mail proves, and accepts the invitation for this user, all or nothing; returns the user''s id, a new one unless given, and the organization''s. Name and locale are the invitation''s unless given. The session''s actor is the same afterwards. Pass the token as a bound parameter of its type. For trusted servers, which see to the password or whatever else the person will sign in with. OU106 bad name or locale, OU107 the address or id is a user''s: sign in and accept, OU201 no address, OU206 not the invited address, OU207 the token did not come by mail, and what accept_invitation() raises';

CREATE FUNCTION orgusers.accept_my_invitation(org_id uuid, id uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN orgusers.accept(accept_my_invitation.org_id, accept_my_invitation.id, NULL);
END $$;
COMMENT ON FUNCTION orgusers.accept_my_invitation(uuid, uuid) IS 'Accepts an invitation from my_invitations() without its token; returns the organization''s id. Needs the actor''s address to be verified (OU207). OU211 no such invitation for the actor, and what accept_invitation() raises';

CREATE FUNCTION orgusers.decline(org_id uuid, id uuid, token orgusers.invitation_token) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invitation orgusers.invitations := orgusers.invitation_to_answer(decline.org_id, decline.id, decline.token, 'declined');
BEGIN
    IF invitation IS NULL THEN
        RETURN;
    END IF;
    UPDATE orgusers.invitations i SET status = 'declined', answered_by = orgusers.current_user_id(), closed_at = clock_timestamp()
        WHERE i.org_id = invitation.org_id AND i.id = invitation.id;
    PERFORM orgusers.withdraw_mail(invitation.org_id, invitation.id);
    PERFORM orgusers.enqueue_mail(invitation.org_id, 'invitation_declined', u.email, u.display_name, u.locale,
            orgusers.mail_people(orgusers.current_user_id()))
        FROM orgusers.users u
        WHERE u.id = invitation.invited_by
          -- who belongs there still, or reaches it from an account above
          AND (EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = invitation.org_id AND m.user_id = u.id AND m.status = 'active')
               OR orgusers.has_right(u.id, invitation.org_id, 'users.invite'));
END $$;
COMMENT ON FUNCTION orgusers.decline(uuid, uuid, orgusers.invitation_token) IS 'Declines the invitation and mails its inviter. See decline_invitation(). Internal';

CREATE FUNCTION orgusers.decline_invitation(token orgusers.invitation_token) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened record;
BEGIN
    PERFORM orgusers.require_user();
    SELECT * INTO opened FROM orgusers.invitation_by_token(token);
    PERFORM orgusers.decline(opened.org_id, opened.invitation_id, token);
END $$;
COMMENT ON FUNCTION orgusers.decline_invitation(orgusers.invitation_token) IS 'Declines the invitation that a token opens; its inviter gets mail. Does nothing for one that is declined. Any signed-in user with the invited address. OU001, OU203, OU204, OU205, OU206, OU207 as in accept_invitation(), OU404 no mail template';

CREATE FUNCTION orgusers.decline_my_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.decline(decline_my_invitation.org_id, decline_my_invitation.id, NULL);
END $$;
COMMENT ON FUNCTION orgusers.decline_my_invitation(uuid, uuid) IS 'Declines an invitation from my_invitations() without its token; its inviter gets mail. OU211 no such invitation for the actor, and what decline_invitation() raises';
