-- Sub-accounts: organizations below an account, of the same policy.

CREATE FUNCTION orgusers.templates_in_charge(policy text) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT t.id FROM orgusers.role_templates t
                 WHERE t.policy = templates_in_charge.policy
                   AND (t.in_charge OR t.founder AND NOT EXISTS (SELECT FROM orgusers.role_templates c WHERE c.policy = t.policy AND c.in_charge))
                 ORDER BY t.id);
END $$;
COMMENT ON FUNCTION orgusers.templates_in_charge(text) IS 'Role templates of a policy for who is in charge of a sub-account: those marked in_charge, else the founder''s. Internal';

CREATE FUNCTION orgusers.create_sub_account(parent_id uuid, name text, person orgusers.email DEFAULT NULL, external_id text DEFAULT NULL,
                                            time_zone text DEFAULT NULL, roles text[] DEFAULT NULL, first_name text DEFAULT NULL,
                                            last_name text DEFAULT NULL, locale text DEFAULT 'en') RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent orgusers.organizations;
    rules  orgusers.policies;
    org    uuid := orgusers.new_id();
BEGIN
    PERFORM orgusers.authorize_change(create_sub_account.parent_id, 'subaccounts.manage');
    SELECT * INTO STRICT parent FROM orgusers.organizations o WHERE o.id = create_sub_account.parent_id;
    rules := orgusers.make_organization(parent.id, org, create_sub_account.name, create_sub_account.external_id, parent.policy,
                                        coalesce(create_sub_account.time_zone, parent.time_zone));
    -- Nobody is in it who could be the billing admin that a paid plan needs.
    INSERT INTO orgusers.subscriptions (org_id, plan, paid)
        SELECT org, p.id, p.paid FROM orgusers.plans p WHERE p.id = rules.default_plan AND NOT p.paid;
    IF create_sub_account.person IS NOT NULL THEN
        IF NOT orgusers.can(org, 'users.invite') THEN
            RAISE EXCEPTION USING ERRCODE = 'OU002', MESSAGE = 'permission users.invite is needed in the new sub-account',
                HINT = 'Only a role that reaches below gives it. Leave the person out, or ask a user of the account who has one.';
        END IF;
        PERFORM orgusers.invite_user(org, create_sub_account.person,
            coalesce(nullif(create_sub_account.roles, '{}'),
                     ARRAY(SELECT r.name FROM orgusers.roles r WHERE r.org_id = org AND r.template = ANY (orgusers.templates_in_charge(rules.id)))),
            first_name => create_sub_account.first_name, last_name => create_sub_account.last_name, locale => create_sub_account.locale);
    END IF;
    PERFORM orgusers.check_now();
    RETURN org;
END $$;
COMMENT ON FUNCTION orgusers.create_sub_account(uuid, text, orgusers.email, text, text, text[], text, text, text) IS 'Makes a sub-account of an organization, of the same policy, in the organization''s time zone when none is given; returns its id. A person is put in charge by an invitation mail with these roles of the sub-account, by name (NULL or an empty array: those that the policy marks in_charge, else the founder''s); the actor is the inviter. Without a person nobody is in it, and whoever has a role in the account that reaches below manages it. It is on the policy''s default plan if that is a free one, else it has no plan until set_plan() gives it one. Needs subaccounts.manage in the parent, and for a person users.invite in the sub-account and the right to give the roles there. OU002 also when the actor''s roles do not reach below, OU103 no such role, OU106 bad name, external id or locale, OU108 role not the actor''s to give, OU208 a declined invitation blocks the address, OU307 the address is used in the tree, OU401 no mailer key, OU404 no mail template, 22023 unknown time zone, and what require() raises';

CREATE FUNCTION orgusers.list_sub_accounts(org_id uuid)
    RETURNS TABLE (id uuid, parent_id uuid, depth integer, name text, external_id text, created_at timestamptz, person orgusers.email, status text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    templates text[];
BEGIN
    PERFORM orgusers.require(list_sub_accounts.org_id, 'organization.view');
    templates := orgusers.templates_in_charge((orgusers.policy_of(list_sub_accounts.org_id)).id);
    RETURN QUERY
        WITH RECURSIVE below (id, depth, place) AS (
            SELECT o.id, 1, ARRAY[o.name, o.id::text] FROM orgusers.organizations o WHERE o.parent_id = list_sub_accounts.org_id
            UNION ALL
            SELECT o.id, b.depth + 1, b.place || ARRAY[o.name, o.id::text] FROM below b JOIN orgusers.organizations o ON o.parent_id = b.id
            -- A circle, which somebody made without foreign keys, leads back here.
            WHERE o.id <> list_sub_accounts.org_id
        )
        SELECT o.id, o.parent_id, b.depth, o.name, o.external_id, o.created_at, p.person, p.status
        FROM below b JOIN orgusers.organizations o ON o.id = b.id
        -- in charge: of those with the role, who has been there longest, else who was invited to it last
        LEFT JOIN LATERAL (
            SELECT c.person, c.status FROM (
                SELECT u.email AS person, CASE m.status WHEN 'active' THEN 'accepted' ELSE m.status END AS status,
                       CASE m.status WHEN 'active' THEN 1 ELSE 3 END AS rank, m.joined_at AS since, NULL::timestamptz AS sent
                FROM orgusers.roles r
                JOIN orgusers.membership_roles mr ON mr.org_id = r.org_id AND mr.role_id = r.id
                JOIN orgusers.memberships m ON m.org_id = mr.org_id AND m.user_id = mr.user_id
                JOIN orgusers.users u ON u.id = m.user_id
                WHERE r.org_id = o.id AND r.template = ANY (templates)
                UNION ALL
                SELECT i.email, orgusers.status_now(i), 2, NULL, i.created_at
                FROM orgusers.roles r
                JOIN orgusers.invitation_roles ir ON ir.org_id = r.org_id AND ir.role_id = r.id
                JOIN orgusers.invitations i ON i.org_id = ir.org_id AND i.id = ir.invitation_id AND i.status IN ('pending', 'declined')
                WHERE r.org_id = o.id AND r.template = ANY (templates)) AS c
            ORDER BY c.rank, c.since, c.sent DESC LIMIT 1
        ) AS p ON orgusers.can(o.id, 'users.view')
        WHERE orgusers.can(o.id, 'organization.view')
        ORDER BY b.place;
END $$;
COMMENT ON FUNCTION orgusers.list_sub_accounts(uuid) IS 'Sub-accounts of the organization and theirs, as deep as there are (depth 1: its own), each before those below it, as far as the actor has organization.view there. With the person in charge, where the actor has users.view: the active user of the role for it who has been there longest (status accepted), else who was invited to it last (pending, expired, declined), else a deactivated holder; NULL for nobody. Needs organization.view. Raises what require() raises';
