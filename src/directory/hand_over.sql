-- Ownership and billing, from one user to another in one step.

CREATE FUNCTION orgusers.hand_over(org_id uuid, user_id uuid, keep_roles boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor  uuid := orgusers.require_user();
    handed uuid[];
    billed boolean;
BEGIN
    IF orgusers.reaches(hand_over.org_id) IS NOT TRUE THEN
        PERFORM orgusers.refuse(hand_over.org_id, NULL);
    END IF;
    PERFORM orgusers.lock_organization(hand_over.org_id);
    -- The roles are what allows it, not a permission.
    handed := ARRAY(SELECT mr.role_id FROM orgusers.memberships m
                    JOIN orgusers.membership_roles mr ON mr.org_id = m.org_id AND mr.user_id = m.user_id
                    JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
                    JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
                    JOIN orgusers.organizations o ON o.id = m.org_id
                    WHERE m.org_id = hand_over.org_id AND m.user_id = actor AND m.status = 'active'
                      AND (t.founder OR t.least_holders > 0 OR t.in_charge AND o.parent_id IS NOT NULL));
    IF handed = '{}' THEN
        IF orgusers.reaches(hand_over.org_id) IS NOT TRUE THEN
            PERFORM orgusers.refuse(hand_over.org_id, NULL);
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'OU108', MESSAGE = 'you hold no role that can be handed over',
            HINT = 'That is for who holds a founder''s role, or one that the organization must keep.';
    END IF;
    PERFORM orgusers.refuse_self(hand_over.org_id, hand_over.user_id, false, 'hand over to');
    IF (orgusers.member(hand_over.org_id, hand_over.user_id)).status <> 'active' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU110', MESSAGE = 'this user is deactivated in the organization',
            HINT = 'Reactivate the user first, with reactivate_user().';
    END IF;
    PERFORM orgusers.require_kind((orgusers.member(hand_over.org_id, hand_over.user_id)).holds_seat = orgusers.takes_seat(hand_over.org_id, handed),
        'free roles are for free users, and others for users with a seat');

    IF keep_roles IS NOT TRUE THEN
        DELETE FROM orgusers.membership_roles mr
            WHERE mr.org_id = hand_over.org_id AND mr.user_id = actor AND mr.role_id = ANY (handed);
    END IF;
    INSERT INTO orgusers.membership_roles (org_id, user_id, role_id, holds_seat)
        SELECT r.org_id, hand_over.user_id, r.id, r.holds_seat FROM orgusers.roles r
        WHERE r.org_id = hand_over.org_id AND r.id = ANY (handed) ON CONFLICT DO NOTHING;
    UPDATE orgusers.subscriptions s SET billing_admin_id = hand_over.user_id
        WHERE s.org_id = hand_over.org_id AND s.billing_admin_id = actor;
    billed := FOUND;
    PERFORM orgusers.check_now();
    IF billed THEN
        PERFORM orgusers.announce_billing_admin(hand_over.org_id, actor, hand_over.user_id);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.hand_over(uuid, uuid, boolean) IS 'Hands the organization over to another active user of it, in one step: the receiver gets the actor''s roles that are a founder''s or that the organization must keep (least holders), and in a sub-account those for who is in charge, as far as held directly, and becomes the billing admin if the actor is; both get mail about that. The actor loses these roles, unless keep_roles is true, and stays a user. For whoever holds such a role: no permission is needed, and it is allowed where the policy forbids users to change their own roles. OU001 nobody is signed in, OU007 the actor was deleted meanwhile, OU101 the actor is not an active user of it and does not reach it, OU102 no such user there, OU108 the actor holds no such role, OU109 to oneself, OU110 the receiver is deactivated, OU113 the receiver is a free user, OU303 and OU304 too few or too many holders, OU404 no mail template';
