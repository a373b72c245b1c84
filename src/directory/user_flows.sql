-- Users of an organization: roles, removal, deactivation.

CREATE FUNCTION orgusers.role_ids(org_id uuid, names text[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    SELECT coalesce(n, 'NULL') INTO unknown FROM unnest(names) n
        WHERE NOT EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = role_ids.org_id AND r.name = n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU103', MESSAGE = format('the organization has no role %s', quote_ident(left(unknown, 200))),
            HINT = 'Roles are named as in orgusers.roles, letter by letter.';
    END IF;
    RETURN ARRAY(SELECT r.id FROM orgusers.roles r WHERE r.org_id = role_ids.org_id AND r.name = ANY (names));
END $$;
COMMENT ON FUNCTION orgusers.role_ids(uuid, text[]) IS 'Ids of the organization''s roles with these names; OU103 when it lacks one. NULL is no names. Internal';

CREATE FUNCTION orgusers.role_names(org_id uuid, role_ids uuid[]) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT r.name FROM orgusers.roles r WHERE r.org_id = role_names.org_id AND r.id = ANY (role_ids) ORDER BY r.name);
END $$;
COMMENT ON FUNCTION orgusers.role_names(uuid, uuid[]) IS 'Names of the organization''s roles with these ids. Internal';

CREATE FUNCTION orgusers.require_grantable(org_id uuid, role_ids uuid[]) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused text;
BEGIN
    SELECT r.name INTO refused FROM orgusers.roles r
        WHERE r.org_id = require_grantable.org_id AND r.id = ANY (role_ids)
          AND NOT orgusers.may_grant(orgusers.current_user_id(), r.org_id, r.id)
        ORDER BY r.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = format('you may neither give nor take the role %s', quote_ident(refused)),
            HINT = 'Ask a user of the organization whose role may.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_grantable(uuid, uuid[]) IS 'Returns when the actor may give and take all these roles, else OU108. Internal';

CREATE FUNCTION orgusers.takes_seat(org_id uuid, role_ids uuid[]) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seated boolean;
    free   boolean;
BEGIN
    SELECT bool_or(r.holds_seat), bool_or(NOT r.holds_seat) INTO seated, free FROM orgusers.roles r
        WHERE r.org_id = takes_seat.org_id AND r.id = ANY (role_ids);
    IF seated AND free THEN
        RAISE EXCEPTION USING ERRCODE = 'OU113', MESSAGE = 'free roles and roles that take a seat cannot be held together',
            HINT = 'Choose roles of one kind; holds_seat in the table orgusers.roles says which kind a role is of.';
    END IF;
    RETURN free IS NOT TRUE;
END $$;
COMMENT ON FUNCTION orgusers.takes_seat(uuid, uuid[]) IS 'Whether a user who holds exactly these roles takes a seat: false if they are free, true for no roles; OU113 when they are of both kinds. Internal';

CREATE FUNCTION orgusers.require_kind(holds_seat boolean, what text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF require_kind.holds_seat THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'OU113', MESSAGE = what, HINT = 'Give the user a role that takes a seat instead of the free one.';
END $$;
COMMENT ON FUNCTION orgusers.require_kind(boolean, text) IS 'Raises OU113 with this message for somebody who takes no seat. Internal';

-- In PL/pgSQL, as whatever flows call often: a function in SQL would be planned at each call.
CREATE FUNCTION orgusers.policy_of(org_id uuid) RETURNS orgusers.policies
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT p FROM orgusers.organizations o JOIN orgusers.policies p ON p.id = o.policy WHERE o.id = policy_of.org_id);
END $$;
COMMENT ON FUNCTION orgusers.policy_of(uuid) IS 'The switches that the organization follows. Internal';

CREATE FUNCTION orgusers.member(org_id uuid, user_id uuid) RETURNS orgusers.memberships
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one orgusers.memberships;
BEGIN
    -- Locked: the owner of the database removes users without the organization's lock.
    SELECT * INTO found_one FROM orgusers.memberships m WHERE m.org_id = member.org_id AND m.user_id = member.user_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU102', MESSAGE = 'no such user in this organization',
            HINT = 'list_users() lists them.';
    END IF;
    RETURN found_one;
END $$;
COMMENT ON FUNCTION orgusers.member(uuid, uuid) IS 'The membership, which stays until the end of the transaction, or OU102. Internal';

CREATE FUNCTION orgusers.enroll(org_id uuid, user_id uuid, role_ids uuid[], invited_by uuid DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seat   boolean := orgusers.takes_seat(enroll.org_id, enroll.role_ids);
    joined boolean;
    member orgusers.memberships;
BEGIN
    INSERT INTO orgusers.memberships (org_id, user_id, invited_by, holds_seat)
        VALUES (enroll.org_id, enroll.user_id, enroll.invited_by, seat) ON CONFLICT DO NOTHING;
    joined := FOUND;
    IF NOT joined THEN
        member := orgusers.member(enroll.org_id, enroll.user_id);
        IF member.status <> 'active' THEN
            RAISE EXCEPTION USING ERRCODE = 'OU110', MESSAGE = 'you are deactivated in this organization',
                HINT = 'Ask a user of the organization who may reactivate you.';
        ELSIF member.holds_seat <> seat THEN
            RAISE EXCEPTION USING ERRCODE = 'OU113', MESSAGE = CASE WHEN seat THEN 'you are a free user of this organization' ELSE 'you have a seat in this organization' END,
                HINT = 'Ask a user of the organization who may change your roles.';
        END IF;
    END IF;
    INSERT INTO orgusers.membership_roles (org_id, user_id, role_id, holds_seat)
        SELECT enroll.org_id, enroll.user_id, unnest(enroll.role_ids), seat ON CONFLICT DO NOTHING;
    IF joined THEN
        PERFORM orgusers.welcome(enroll.org_id, enroll.user_id);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.enroll(uuid, uuid, uuid[], uuid) IS 'Makes a person a user of the organization with these roles, on a seat or free as they say; one who is a user gets the roles in addition, and one who becomes a user the mail welcome() may send. The caller has the organization''s lock. OU110 deactivated there, OU113 roles of both kinds, or of the other kind than the user''s. Internal';

CREATE FUNCTION orgusers.refuse_self(org_id uuid, user_id uuid, allowed boolean, what text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    inviter text;
BEGIN
    IF allowed OR refuse_self.user_id IS DISTINCT FROM orgusers.current_user_id() THEN
        RETURN;
    END IF;
    SELECT coalesce(u.display_name, u.email::text) INTO inviter
        FROM orgusers.memberships m JOIN orgusers.users u ON u.id = m.invited_by
        WHERE m.org_id = refuse_self.org_id AND m.user_id = refuse_self.user_id;
    RAISE EXCEPTION USING ERRCODE = 'OU109', MESSAGE = format('you may not %s yourself', what),
        HINT = CASE WHEN inviter IS NULL THEN 'Ask another user of the organization who may.' ELSE format('Ask %s, who has invited you.', inviter) END;
END $$;
COMMENT ON FUNCTION orgusers.refuse_self(uuid, uuid, boolean, text) IS 'Raises OU109 when the user is the actor and the policy''s switch (allowed) is off; the hint names the inviter. Internal';

CREATE FUNCTION orgusers.require_over(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking text;
BEGIN
    PERFORM orgusers.require_grantable(require_over.org_id,
        ARRAY(SELECT h.role_id FROM orgusers.held_roles h WHERE h.org_id = require_over.org_id AND h.user_id = require_over.user_id));
    SELECT p.permission INTO lacking FROM orgusers.membership_permissions p
        WHERE p.org_id = require_over.org_id AND p.user_id = require_over.user_id
          AND NOT orgusers.can(p.org_id, p.permission) ORDER BY p.permission LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = format('this user has the permission %s, which you have not', quote_ident(lacking)),
            HINT = 'Ask a user of the organization who has it.';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.require_over(uuid, uuid) IS 'Returns when all that the user has in the organization (roles, directly and by groups, and single permissions) is the actor''s to give and take, else OU108. Internal';

CREATE FUNCTION orgusers.set_user_roles(org_id uuid, user_id uuid, roles text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted uuid[];
    held   uuid[];
    seat   boolean;
BEGIN
    PERFORM orgusers.authorize_change(set_user_roles.org_id, 'roles.assign');
    PERFORM orgusers.member(set_user_roles.org_id, set_user_roles.user_id);
    PERFORM orgusers.refuse_self(set_user_roles.org_id, set_user_roles.user_id,
        (orgusers.policy_of(set_user_roles.org_id)).own_role_change, 'change the roles of');
    wanted := orgusers.role_ids(set_user_roles.org_id, set_user_roles.roles);
    held := ARRAY(SELECT mr.role_id FROM orgusers.membership_roles mr
                  WHERE mr.org_id = set_user_roles.org_id AND mr.user_id = set_user_roles.user_id);
    PERFORM orgusers.require_grantable(set_user_roles.org_id,
        ARRAY((SELECT unnest(wanted) EXCEPT SELECT unnest(held)) UNION (SELECT unnest(held) EXCEPT SELECT unnest(wanted))));
    seat := orgusers.takes_seat(set_user_roles.org_id, wanted);
    IF NOT seat AND (EXISTS (SELECT FROM orgusers.group_members gm
                             WHERE gm.org_id = set_user_roles.org_id AND gm.user_id = set_user_roles.user_id)
                     OR EXISTS (SELECT FROM orgusers.membership_permissions mp
                                WHERE mp.org_id = set_user_roles.org_id AND mp.user_id = set_user_roles.user_id)) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU113', MESSAGE = 'a free user has neither groups nor single permissions',
            HINT = 'Take the user''s groups and single permissions first.';
    END IF;
    DELETE FROM orgusers.membership_roles mr
        WHERE mr.org_id = set_user_roles.org_id AND mr.user_id = set_user_roles.user_id AND mr.role_id <> ALL (wanted);
    -- Between the two, where no role of the other kind is held; a seat that is taken is counted here (OU301).
    UPDATE orgusers.memberships m SET holds_seat = seat
        WHERE m.org_id = set_user_roles.org_id AND m.user_id = set_user_roles.user_id AND m.holds_seat <> seat;
    INSERT INTO orgusers.membership_roles (org_id, user_id, role_id, holds_seat)
        SELECT set_user_roles.org_id, set_user_roles.user_id, unnest(wanted), seat ON CONFLICT DO NOTHING;
    PERFORM orgusers.check_now();
END $$;
COMMENT ON FUNCTION orgusers.set_user_roles(uuid, uuid, text[]) IS 'Gives a user of the organization exactly these roles, by name; NULL or an empty array takes all. Needs roles.assign, and each role given or taken must be one that the actor''s roles may give. Free roles end the user''s seat, and others take one. OU102 no such user there, OU103 no such role, OU108 role not the actor''s to give, OU109 own roles, OU113 free roles beside others, or with groups or single permissions, OU301 no seat left, OU303 and OU304 too few or too many holders, and what require() raises';

CREATE FUNCTION orgusers.refuse_billing_admin(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM orgusers.subscriptions s
               WHERE s.org_id = refuse_billing_admin.org_id AND s.billing_admin_id = refuse_billing_admin.user_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU302', MESSAGE = 'this user is the billing admin',
            HINT = 'Choose another billing admin first, with set_billing_admin().';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.refuse_billing_admin(uuid, uuid) IS 'Raises OU302 when the user is the organization''s billing admin. Internal';

CREATE FUNCTION orgusers.tell_user(org_id uuid, user_id uuid, kind text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.enqueue_mail(tell_user.org_id, tell_user.kind, u.email, u.display_name, u.locale, '{}')
        FROM orgusers.users u WHERE u.id = tell_user.user_id AND u.id IS DISTINCT FROM orgusers.current_user_id();
END $$;
COMMENT ON FUNCTION orgusers.tell_user(uuid, uuid, text) IS 'Mails a user what has been done to the membership, unless it is the actor who did it. Internal';

CREATE FUNCTION orgusers.remove_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(remove_user.org_id, 'users.remove');
    PERFORM orgusers.member(remove_user.org_id, remove_user.user_id);
    PERFORM orgusers.refuse_self(remove_user.org_id, remove_user.user_id,
        (orgusers.policy_of(remove_user.org_id)).self_removal, 'remove');
    PERFORM orgusers.require_over(remove_user.org_id, remove_user.user_id);
    PERFORM orgusers.refuse_billing_admin(remove_user.org_id, remove_user.user_id);
    DELETE FROM orgusers.memberships m WHERE m.org_id = remove_user.org_id AND m.user_id = remove_user.user_id;
    PERFORM orgusers.check_now();
    IF remove_user.user_id = orgusers.current_user_id() THEN
        PERFORM orgusers.announce_leaving(remove_user.org_id, remove_user.user_id);
    END IF;
    PERFORM orgusers.tell_user(remove_user.org_id, remove_user.user_id, 'user_removed');
END $$;
COMMENT ON FUNCTION orgusers.remove_user(uuid, uuid) IS 'Removes a user from the organization with roles and groups there, at once; the user gets mail or, when it is the actor, those who may remove users do. Needs users.remove, and the user''s roles and single permissions must be the actor''s to take. OU102 no such user there, OU108 role not the actor''s to take, OU109 oneself, OU302 the billing admin, OU303 too few holders of a role, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.deactivate_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(deactivate_user.org_id, 'users.deactivate');
    IF (orgusers.member(deactivate_user.org_id, deactivate_user.user_id)).status = 'deactivated' THEN
        RETURN;
    END IF;
    PERFORM orgusers.refuse_self(deactivate_user.org_id, deactivate_user.user_id,
        (orgusers.policy_of(deactivate_user.org_id)).self_removal, 'deactivate');
    PERFORM orgusers.require_over(deactivate_user.org_id, deactivate_user.user_id);
    PERFORM orgusers.refuse_billing_admin(deactivate_user.org_id, deactivate_user.user_id);
    UPDATE orgusers.memberships m SET status = 'deactivated', deactivated_at = now()
        WHERE m.org_id = deactivate_user.org_id AND m.user_id = deactivate_user.user_id;
    PERFORM orgusers.check_now();
    PERFORM orgusers.tell_user(deactivate_user.org_id, deactivate_user.user_id, 'user_deactivated');
END $$;
COMMENT ON FUNCTION orgusers.deactivate_user(uuid, uuid) IS 'Takes a user''s rights and seat in the organization, at once, and keeps roles and groups for a reactivation; the user gets mail, unless it is the actor. Does nothing for a deactivated one. Needs users.deactivate. Raises what remove_user() raises';

CREATE FUNCTION orgusers.reactivate_user(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(reactivate_user.org_id, 'users.deactivate');
    PERFORM orgusers.member(reactivate_user.org_id, reactivate_user.user_id);
    -- Who reaches the organization from above would have the roles back that are held in it.
    PERFORM orgusers.refuse_self(reactivate_user.org_id, reactivate_user.user_id,
        (orgusers.policy_of(reactivate_user.org_id)).own_role_change, 'reactivate');
    PERFORM orgusers.require_over(reactivate_user.org_id, reactivate_user.user_id);
    UPDATE orgusers.memberships m SET status = 'active', deactivated_at = NULL
        WHERE m.org_id = reactivate_user.org_id AND m.user_id = reactivate_user.user_id AND m.status = 'deactivated';
    IF FOUND THEN
        PERFORM orgusers.check_now();
        PERFORM orgusers.tell_user(reactivate_user.org_id, reactivate_user.user_id, 'user_reactivated');
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.reactivate_user(uuid, uuid) IS 'Gives a deactivated user''s rights back, which takes a seat unless the user''s roles are free; the user gets mail. Does nothing for an active one. Needs users.deactivate. OU102 no such user there, OU108 role not the actor''s to give, OU109 oneself, OU301 no seat left, OU304 too many holders of a role, OU404 no mail template, and what require() raises';
