-- The administrator's side: inviting, sending again, withdrawing.

CREATE FUNCTION orgusers.mail_people(about uuid) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'inviter', (SELECT coalesce(a.display_name, a.email::text) FROM orgusers.users a WHERE a.id = orgusers.current_user_id()),
        'inviter_email', (SELECT a.email::text FROM orgusers.users a WHERE a.id = orgusers.current_user_id()),
        'user', (SELECT coalesce(u.display_name, u.email::text) FROM orgusers.users u WHERE u.id = about)));
END;
COMMENT ON FUNCTION orgusers.mail_people(uuid) IS 'Mail placeholders for the actor (inviter, inviter_email) and the user it is about (user). Internal';

CREATE FUNCTION orgusers.free_seats(org_id uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p.seats
        - (SELECT count(*) FROM orgusers.memberships m WHERE m.org_id = s.org_id AND m.status = 'active')
        - CASE WHEN (orgusers.policy_of(s.org_id)).pending_holds_seat
               THEN (SELECT count(*) FROM orgusers.invitations i
                     WHERE i.org_id = s.org_id AND i.status = 'pending' AND i.expires_at > clock_timestamp())
               ELSE 0 END
    FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan
    WHERE s.org_id = free_seats.org_id AND p.seats IS NOT NULL;
END;
COMMENT ON FUNCTION orgusers.free_seats(uuid) IS 'Seats that the organization can still give; NULL without a cap. Internal';

CREATE FUNCTION orgusers.require_seat(org_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A courtesy to who invites: what counts is the seat at acceptance.
    IF orgusers.free_seats(require_seat.org_id) <= 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'OU301', MESSAGE = 'the organization has no seat left to invite somebody to',
            HINT = 'Remove or deactivate a user, or change the plan.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_seat(uuid) IS 'Raises OU301 when the organization has no seat to invite somebody to. Internal';

CREATE FUNCTION orgusers.send_invitation(invitation orgusers.invitations) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    token orgusers.invitation_token := orgusers.new_invitation_token(invitation.org_id);
BEGIN
    -- What was mailed before, or waits to be, opens nothing any more.
    PERFORM orgusers.withdraw_mail(invitation.org_id, invitation.id);
    DELETE FROM orgusers.invitation_tokens t
        WHERE t.org_id = invitation.org_id AND t.invitation_id = invitation.id AND t.kind = 'mail';
    INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind, created_by)
        VALUES (invitation.org_id, orgusers.token_digest(token), invitation.id, 'mail', invitation.invited_by);
    PERFORM orgusers.enqueue_mail(invitation.org_id, 'invitation', invitation.email,
        concat_ws(' ', invitation.first_name, invitation.last_name), invitation.locale,
        orgusers.mail_people(NULL), invitation.id, invitation.expires_at, token);
END $$;
COMMENT ON FUNCTION orgusers.send_invitation(orgusers.invitations) IS 'Mails an invitation with a new token; tokens mailed earlier end. OU401 no mailer key. Internal';

CREATE FUNCTION orgusers.refuse_declined(org_id uuid, email orgusers.email) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (orgusers.policy_of(refuse_declined.org_id)).declined_blocks
       AND EXISTS (SELECT FROM orgusers.invitations i
                   WHERE i.org_id = refuse_declined.org_id AND i.email = refuse_declined.email AND i.status = 'declined') THEN
        RAISE EXCEPTION USING ERRCODE = 'OU208', MESSAGE = 'this address has declined an invitation',
            HINT = 'Remove that invitation first, with remove_invitation().';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.refuse_declined(uuid, orgusers.email) IS 'Raises OU208 when the policy lets a declined invitation block the address. Internal';

CREATE FUNCTION orgusers.invite_user(org_id uuid, email orgusers.email, roles text[] DEFAULT NULL, groups text[] DEFAULT NULL,
                                     first_name text DEFAULT NULL, last_name text DEFAULT NULL, locale text DEFAULT 'en',
                                     send boolean DEFAULT true)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    rules      orgusers.policies;
    role_ids   uuid[];
    group_ids  uuid[];
    expired    uuid;
    invitation orgusers.invitations;
BEGIN
    PERFORM orgusers.authorize_change(invite_user.org_id, 'users.invite');
    IF invite_user.email IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU201', MESSAGE = 'an invitation needs an e-mail address';
    END IF;
    rules := orgusers.policy_of(invite_user.org_id);

    IF cardinality(invite_user.roles) > 0 THEN
        role_ids := orgusers.role_ids(invite_user.org_id, invite_user.roles);
    ELSE
        role_ids := ARRAY(SELECT r.id FROM orgusers.roles r
                          JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                          WHERE r.org_id = invite_user.org_id AND t.by_default);
    END IF;
    group_ids := orgusers.group_ids(invite_user.org_id, invite_user.groups);
    PERFORM orgusers.require_grantable(invite_user.org_id, role_ids);
    PERFORM orgusers.require_groups(invite_user.org_id, NULL, group_ids);

    IF EXISTS (SELECT FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.user_id
               WHERE m.org_id = invite_user.org_id AND u.email = invite_user.email) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU209', MESSAGE = 'this address is a user''s of the organization',
            HINT = 'A deactivated user comes back with reactivate_user().';
    END IF;
    PERFORM orgusers.refuse_declined(invite_user.org_id, invite_user.email);
    IF NOT orgusers.is_locale(coalesce(invite_user.locale, 'en')) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = 'this locale is not usable',
            HINT = 'A locale is a language tag such as en or pt-BR.';
    END IF;
    PERFORM orgusers.require_seat(invite_user.org_id);

    -- An expired invitation makes room for a new one; a pending one stays.
    UPDATE orgusers.invitations i SET status = 'canceled', closed_at = clock_timestamp()
        WHERE i.org_id = invite_user.org_id AND i.email = invite_user.email
          AND i.status = 'pending' AND i.expires_at <= clock_timestamp()
        RETURNING i.id INTO expired;
    PERFORM orgusers.withdraw_mail(invite_user.org_id, expired);
    INSERT INTO orgusers.invitations (org_id, email, first_name, last_name, locale, invited_by, expires_at)
        VALUES (invite_user.org_id, invite_user.email,
                CASE WHEN invite_user.first_name IS NOT NULL THEN orgusers.checked_name('this first name', invite_user.first_name) END,
                CASE WHEN invite_user.last_name IS NOT NULL THEN orgusers.checked_name('this last name', invite_user.last_name) END,
                coalesce(invite_user.locale, 'en'), orgusers.current_user_id(), clock_timestamp() + rules.invitation_lifetime)
        ON CONFLICT (org_id, email) WHERE status = 'pending' DO NOTHING
        RETURNING * INTO invitation;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU208', MESSAGE = 'this address has a pending invitation to the organization',
            HINT = 'Send it again with resend_invitation(), or withdraw it with cancel_invitation().';
    END IF;
    -- By a new command: the address can have declined while the pending one was waited for.
    PERFORM orgusers.refuse_declined(invitation.org_id, invitation.email);
    PERFORM orgusers.refuse_in_tree(invitation.org_id, invitation.email);
    INSERT INTO orgusers.invitation_roles (org_id, invitation_id, role_id)
        SELECT invitation.org_id, invitation.id, unnest(role_ids);
    INSERT INTO orgusers.invitation_groups (org_id, invitation_id, group_id)
        SELECT invitation.org_id, invitation.id, unnest(group_ids);
    IF send IS NOT FALSE THEN
        PERFORM orgusers.send_invitation(invitation);
    END IF;
    RETURN invitation.id;
END $$;
COMMENT ON FUNCTION orgusers.invite_user(uuid, orgusers.email, text[], text[], text, text, text, boolean) IS 'Invites an address to the organization with roles and groups, by name (no role named: the policy''s default ones), and mails the invitation, unless send is false: then invitation_link() gives a token. Returns the invitation''s id. Needs users.invite, and each role, also one that a group carries, must be one that the actor''s roles may give. OU103 no such role, OU104 no such group, OU106 bad name or locale, OU108 role not the actor''s to give, OU201 no address, OU208 pending or blocking invitation, OU209 a user already, OU301 no seat left, OU307 used elsewhere in the tree, OU401 no mailer key, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.invitation(org_id uuid, id uuid) RETURNS orgusers.invitations
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one orgusers.invitations;
BEGIN
    SELECT * INTO found_one FROM orgusers.invitations i
        WHERE i.org_id = invitation.org_id AND i.id = invitation.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU211', MESSAGE = 'no such invitation in this organization',
            HINT = 'list_invitations() lists them.';
    END IF;
    RETURN found_one;
END $$;
COMMENT ON FUNCTION orgusers.invitation(uuid, uuid) IS 'The invitation, locked until the end of the transaction, or OU211. Internal';

CREATE FUNCTION orgusers.require_pending(invitation orgusers.invitations) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF invitation.status <> 'pending' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU205', MESSAGE = format('the invitation is %s', invitation.status),
            HINT = 'Only a pending invitation allows this.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_pending(orgusers.invitations) IS 'Raises OU205 for an invitation that is accepted, declined or canceled. Internal';

CREATE FUNCTION orgusers.renew_invitation(org_id uuid, id uuid) RETURNS orgusers.invitations
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations;
BEGIN
    PERFORM orgusers.authorize_change(renew_invitation.org_id, 'users.invite');
    renewed := orgusers.invitation(renew_invitation.org_id, renew_invitation.id);
    PERFORM orgusers.require_pending(renewed);
    -- From here on it lives by the authority of the actor.
    renewed.invited_by := orgusers.current_user_id();
    PERFORM orgusers.require_inviter(renewed, 'OU108');
    RETURN renewed;
END $$;
COMMENT ON FUNCTION orgusers.renew_invitation(uuid, uuid) IS 'A pending or expired invitation, locked, with the actor as its inviter. Needs users.invite and the right to give its roles. Internal';

CREATE FUNCTION orgusers.require_inviter(invitation orgusers.invitations, sqlstate text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.has_right(invitation.invited_by, invitation.org_id, 'users.invite')
       AND NOT EXISTS (
            SELECT FROM (SELECT ir.role_id FROM orgusers.invitation_roles ir
                         WHERE ir.org_id = invitation.org_id AND ir.invitation_id = invitation.id
                         UNION
                         SELECT gr.role_id FROM orgusers.invitation_groups ig JOIN orgusers.group_roles gr USING (org_id, group_id)
                         WHERE ig.org_id = invitation.org_id AND ig.invitation_id = invitation.id) AS given
            WHERE NOT orgusers.may_grant(invitation.invited_by, invitation.org_id, given.role_id))
       AND (NOT EXISTS (SELECT FROM orgusers.invitation_groups ig JOIN orgusers.space_groups sg USING (org_id, group_id)
                        WHERE ig.org_id = invitation.org_id AND ig.invitation_id = invitation.id)
            OR orgusers.has_right(invitation.invited_by, invitation.org_id, 'spaces.assign'))
    THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = require_inviter.sqlstate,
        MESSAGE = CASE require_inviter.sqlstate WHEN 'OU108' THEN 'you may not give the roles of this invitation'
                  ELSE 'the inviter may not invite with these roles any more' END,
        HINT = 'Another user of the organization, whose role may give them, can send the invitation again.';
END $$;
COMMENT ON FUNCTION orgusers.require_inviter(orgusers.invitations, text) IS 'Raises the SQLSTATE when the inviter may not, or no longer, invite with the invitation''s roles and groups. Internal';

CREATE FUNCTION orgusers.resend_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations := orgusers.renew_invitation(org_id, id);
BEGIN
    IF renewed.expires_at <= clock_timestamp() THEN
        PERFORM orgusers.require_seat(renewed.org_id);
    END IF;
    UPDATE orgusers.invitations i
        SET invited_by = renewed.invited_by,
            expires_at = clock_timestamp() + (orgusers.policy_of(i.org_id)).invitation_lifetime
        WHERE i.org_id = renewed.org_id AND i.id = renewed.id
        RETURNING * INTO renewed;
    PERFORM orgusers.refuse_in_tree(renewed.org_id, renewed.email);
    PERFORM orgusers.send_invitation(renewed);
END $$;
COMMENT ON FUNCTION orgusers.resend_invitation(uuid, uuid) IS 'Mails a pending or expired invitation again with a new token and the whole lifetime; tokens mailed earlier end. The actor becomes its inviter. Needs users.invite and the right to give its roles. OU108 roles not the actor''s to give, OU205 answered or canceled, OU208 declined elsewhere in the tree, OU211 no such invitation, OU301 expired, and no seat left, OU307 used elsewhere in the tree, OU401 no mailer key, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.invitation_link(org_id uuid, id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renewed orgusers.invitations := orgusers.renew_invitation(org_id, id);
    token   orgusers.invitation_token := orgusers.new_invitation_token(renewed.org_id);
BEGIN
    IF renewed.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'OU204', MESSAGE = 'the invitation has expired',
            HINT = 'resend_invitation() revives it.';
    END IF;
    INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind, created_by)
        VALUES (renewed.org_id, orgusers.token_digest(token), renewed.id, 'link', orgusers.current_user_id());
    RETURN replace((orgusers.policy_of(renewed.org_id)).accept_url, '{{token}}', orgusers.token_text(token));
END $$;
COMMENT ON FUNCTION orgusers.invitation_link(uuid, uuid) IS 'A further link that opens a pending invitation; the ones already sent keep working. Whoever follows it must be signed in with the invited address, verified. Needs users.invite and the right to give its roles. OU108 roles not the actor''s to give, OU204 expired, OU205 answered or canceled, OU211 no such invitation, and what require() raises';

CREATE FUNCTION orgusers.cancel_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    canceled orgusers.invitations;
BEGIN
    PERFORM orgusers.require(cancel_invitation.org_id, 'users.invite');
    canceled := orgusers.invitation(cancel_invitation.org_id, cancel_invitation.id);
    PERFORM orgusers.require_pending(canceled);
    UPDATE orgusers.invitations i SET status = 'canceled', closed_at = clock_timestamp()
        WHERE i.org_id = canceled.org_id AND i.id = canceled.id;
    PERFORM orgusers.withdraw_mail(canceled.org_id, canceled.id);
    PERFORM orgusers.enqueue_mail(canceled.org_id, 'invitation_canceled', canceled.email,
        concat_ws(' ', canceled.first_name, canceled.last_name), canceled.locale, orgusers.mail_people(NULL));
END $$;
COMMENT ON FUNCTION orgusers.cancel_invitation(uuid, uuid) IS 'Withdraws a pending or expired invitation: none of its tokens opens it any more, and the address gets mail about it. Needs users.invite. OU205 answered or canceled, OU211 no such invitation, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.remove_invitation(org_id uuid, id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed orgusers.invitations;
BEGIN
    PERFORM orgusers.require(remove_invitation.org_id, 'users.invite');
    removed := orgusers.invitation(remove_invitation.org_id, remove_invitation.id);
    IF removed.status = 'pending' AND removed.expires_at > clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'OU205', MESSAGE = 'the invitation is pending',
            HINT = 'Withdraw it first, with cancel_invitation().';
    END IF;
    PERFORM orgusers.withdraw_mail(removed.org_id, removed.id);
    DELETE FROM orgusers.invitations i WHERE i.org_id = removed.org_id AND i.id = removed.id;
END $$;
COMMENT ON FUNCTION orgusers.remove_invitation(uuid, uuid) IS 'Takes an invitation that is not pending off the list for good; no mail goes out. Needs users.invite. OU205 pending, OU211 no such invitation, and what require() raises';
