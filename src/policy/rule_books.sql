-- Rule-books as a whole: beginning one, copying one, looking for contradictions, and giving roles that a rule-book
-- has got later to the organizations that follow it.

CREATE FUNCTION orgusers.begin_policy(policy text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM orgusers.policies p WHERE p.id = begin_policy.policy) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = format('there is a policy %s', quote_ident(begin_policy.policy)),
            HINT = 'Edit its rows instead, or copy it with create_policy().';
    END IF;
    PERFORM orgusers.install_permissions();
    -- What any rule-book can begin with: nobody pays, nobody is counted.
    INSERT INTO orgusers.plans (id, title, paid) VALUES ('basic', 'Basic', false) ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION orgusers.begin_policy(text) IS 'Makes sure that the rule-book is a new one (OU107), that the permissions are known, and that there is a plan without cap and price. Internal';

CREATE FUNCTION orgusers.create_policy(id text, based_on text DEFAULT NULL, title text DEFAULT NULL, product_name text DEFAULT NULL,
                                       accept_url text DEFAULT NULL, mail_from orgusers.email DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules   orgusers.policies;
    heading text := coalesce(create_policy.title, btrim(replace(upper(left(create_policy.id, 1)) || substr(create_policy.id, 2), '_', ' ')));
BEGIN
    IF (create_policy.id ~ '^[a-z][a-z0-9_]{0,62}$') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = 'this id of a policy is not usable',
            HINT = 'An id is a lower-case letter and up to 62 letters, digits and underscores.';
    ELSIF NOT orgusers.is_name(create_policy.title) OR NOT orgusers.is_name(create_policy.product_name) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = 'this title or name of a product is not usable',
            HINT = 'It has 1 to 200 characters, no control characters, and no blank at either end.';
    END IF;
    PERFORM orgusers.begin_policy(create_policy.id);
    IF based_on IS NOT NULL THEN
        SELECT p.* INTO rules FROM orgusers.policies p WHERE p.id = based_on;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'no such policy to copy',
                HINT = 'The table orgusers.policies lists them.';
        END IF;
        -- Whole rows: a switch that is added to a table is copied without a word here.
        rules.id := create_policy.id;
        rules.title := heading;
        rules.product_name := coalesce(create_policy.product_name, rules.product_name);
        rules.accept_url := coalesce(create_policy.accept_url, rules.accept_url);
        rules.mail_from := coalesce(create_policy.mail_from, rules.mail_from);
        INSERT INTO orgusers.policies SELECT rules.*;
        INSERT INTO orgusers.role_templates
            SELECT (jsonb_populate_record(t, jsonb_build_object('policy', create_policy.id))).* FROM orgusers.role_templates t WHERE t.policy = based_on;
        INSERT INTO orgusers.role_template_permissions
            SELECT (jsonb_populate_record(t, jsonb_build_object('policy', create_policy.id))).* FROM orgusers.role_template_permissions t WHERE t.policy = based_on;
        INSERT INTO orgusers.role_template_grants
            SELECT (jsonb_populate_record(t, jsonb_build_object('policy', create_policy.id))).* FROM orgusers.role_template_grants t WHERE t.policy = based_on;
        INSERT INTO orgusers.base_permissions
            SELECT (jsonb_populate_record(t, jsonb_build_object('policy', create_policy.id))).* FROM orgusers.base_permissions t WHERE t.policy = based_on;
        INSERT INTO orgusers.mail_templates
            SELECT (jsonb_populate_record(t, jsonb_build_object('policy', create_policy.id))).* FROM orgusers.mail_templates t WHERE t.policy = based_on;
    ELSE
        INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime)
            VALUES (create_policy.id, heading, 'basic', coalesce(create_policy.product_name, 'Example'),
                    coalesce(create_policy.accept_url, 'https://example.org/invitation#{{token}}'),
                    coalesce(create_policy.mail_from, 'no-reply@example.org'), '7 days');
        PERFORM orgusers.install_mail_templates(create_policy.id);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.create_policy(text, text, text, text, text, orgusers.email) IS 'Makes a rule-book: a copy of another one (based_on) with its switches, roles, permissions, grants, base permissions and mail templates, or one with cautious switches, mail templates and no roles yet. title is made from the id, the rest taken from the copied one unless given. Everything is data, to be edited afterwards with plain SQL; check_policy() looks for contradictions. For the database''s owner. OU105 no such policy to copy, OU106 bad id, title or product name, OU107 id in use, 23514 a bad address of the page';

CREATE FUNCTION orgusers.check_policy(policy text)
    RETURNS TABLE (severity text, finding text, subject text, problem text, hint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules orgusers.policies;
BEGIN
    SELECT p.* INTO rules FROM orgusers.policies p WHERE p.id = check_policy.policy;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'no such policy',
            HINT = 'The table orgusers.policies lists them.';
    END IF;
    RETURN QUERY
    WITH role AS (
        SELECT t.*,
               ARRAY(SELECT p.permission FROM orgusers.role_template_permissions p WHERE p.policy = t.policy AND p.template = t.id) AS may,
               ARRAY(SELECT g.grantable FROM orgusers.role_template_grants g WHERE g.policy = t.policy AND g.template = t.id) AS gives
        FROM orgusers.role_templates t WHERE t.policy = rules.id
    ), plan AS (
        SELECT p.* FROM orgusers.plans p WHERE p.id = rules.default_plan
    ), somebody AS (
        SELECT DISTINCT unnest(r.may) AS may FROM role r
        UNION SELECT b.permission FROM orgusers.base_permissions b WHERE b.policy = rules.id
    ), founding AS (
        SELECT coalesce(array_agg(may), '{}') AS may FROM (SELECT unnest(r.may) AS may FROM role r WHERE r.founder) AS f
    )
    -- Founding
    SELECT 'error', 'no_founder_role', rules.id, 'no role is the founder''s: whoever makes an organization may nothing in it',
           'Set role_templates.founder for one.'
    WHERE NOT EXISTS (SELECT FROM role r WHERE r.founder)
    UNION ALL
    SELECT 'error', 'founder_assigns_nothing', rules.id, 'the founder cannot give roles to others',
           'Give a founder''s role roles.assign and rows of role_template_grants.'
    WHERE EXISTS (SELECT FROM role r WHERE r.founder)
      AND NOT EXISTS (SELECT FROM role r, founding f WHERE r.founder AND r.gives <> '{}' AND 'roles.assign' = ANY (f.may))
    UNION ALL
    SELECT 'error', 'mixed_seats', rules.id, 'roles that ' || CASE WHEN r.founder THEN 'the founder gets' ELSE 'an invitation gives by itself' END || ' together take a seat and take none',
           'Let role_templates.holds_seat be the same for them.'
    FROM (SELECT true AS founder, holds_seat FROM role WHERE role.founder UNION ALL SELECT false, holds_seat FROM role WHERE by_default) AS r
    GROUP BY r.founder HAVING bool_or(r.holds_seat) AND NOT bool_and(r.holds_seat)
    UNION ALL
    SELECT 'error', 'least_holders_at_founding', r.id, 'an organization begins with fewer holders than the least, and the first change that takes a role away is refused',
           'Lower role_templates.least_holders, or make it a founder''s role.'
    FROM role r WHERE r.least_holders > CASE WHEN r.founder THEN 1 ELSE 0 END
    UNION ALL
    SELECT 'error', 'least_holders_over_seats', r.id, format('at least %s users must hold the role, and the plan %s has %s seats', r.least_holders, p.id, p.seats),
           'Lower role_templates.least_holders, or choose another default plan.'
    FROM role r, plan p WHERE r.holds_seat AND r.least_holders > p.seats
    -- Inviting and giving roles
    UNION ALL
    SELECT 'error', 'nobody_invites', rules.id, 'no role permits to invite users', 'Give one users.invite.'
    WHERE NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'users.invite')
    UNION ALL
    SELECT 'warning', 'no_default_role', rules.id, 'who is invited without a role named may nothing', 'Set role_templates.by_default for one, or give base_permissions.'
    WHERE NOT EXISTS (SELECT FROM role r WHERE r.by_default) AND NOT EXISTS (SELECT FROM orgusers.base_permissions b WHERE b.policy = rules.id)
    UNION ALL
    SELECT 'warning', 'default_role_not_given', d.id, format('who invites as %s cannot give this default role, so must name another', r.id),
           'Add it to role_template_grants.'
    FROM role r JOIN role d ON d.by_default AND d.id <> ALL (r.gives) WHERE 'users.invite' = ANY (r.may)
    UNION ALL
    SELECT 'error', 'nobody_gives_role', r.id, 'nobody may give the role or take it', 'Add it to role_template_grants of a role that may assign roles or invite.'
    FROM role r WHERE NOT EXISTS (SELECT FROM role g WHERE r.id = ANY (g.gives) AND g.may && '{roles.assign,users.invite}')
    UNION ALL
    SELECT 'warning', 'gives_no_role', r.id, 'the role permits to assign roles, but names none that its holders may give', 'Add rows to role_template_grants.'
    FROM role r WHERE r.gives = '{}' AND r.may && '{roles.assign,users.invite}'
    UNION ALL
    SELECT 'warning', 'gives_in_vain', r.id, 'the role names roles that its holders may give, but permits nothing by which they could',
           'Give it roles.assign, users.invite or users.remove, or delete its rows of role_template_grants.'
    FROM role r WHERE r.gives <> '{}' AND NOT r.may && '{roles.assign,users.invite,users.remove,users.deactivate,groups.manage}'
    UNION ALL
    SELECT 'warning', 'default_role_limited', r.id, format('it is given by every invitation that names no role, and %s users at most may hold it', r.most_holders),
           'Make another role the default one, or set role_templates.most_holders to NULL.'
    FROM role r WHERE r.by_default AND r.most_holders IS NOT NULL
    -- Joining without an invitation
    UNION ALL
    SELECT 'error', 'joinable_role_is_powerful', r.id, format('everybody with a join link or an address of a join domain gets %s', array_to_string(p.powerful, ', ')),
           'Take these from the role, or set role_templates.joinable to false.'
    FROM role r, LATERAL (SELECT ARRAY(SELECT m FROM unnest(r.may) m WHERE m ~ '^(organization\.(rename|delete)|users\.|roles\.|permissions\.|groups\.|subaccounts\.|joining\.|audit\.|billing\.|subscription\.)' ORDER BY m)
                          || CASE WHEN r.gives <> '{}' THEN '{"the right to give roles"}'::text[] ELSE '{}' END AS powerful) AS p
    WHERE r.joinable AND p.powerful <> '{}'
    UNION ALL
    SELECT 'warning', 'nobody_manages_joining', r.id, 'the role can be joined, but nobody may make join links or claim join domains', 'Give a role joining.manage.'
    FROM role r WHERE r.joinable AND NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'joining.manage')
    UNION ALL
    SELECT 'warning', 'joinable_role_is_editable', r.id, 'everybody with a join link or an address of a join domain gets what an organization makes of the role',
           'Set role_templates.joinable or role_templates.editable to false.'
    FROM role r WHERE r.joinable AND r.editable
    UNION ALL
    SELECT 'warning', 'nobody_hears_of_leaving', rules.id, 'users may leave, and nobody gets mail about it, since nobody may remove users',
           'Give a role users.remove, or set policies.leaving to false.'
    WHERE rules.leaving AND NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'users.remove')
    -- Roles of the organization's own
    UNION ALL
    SELECT 'warning', 'nobody_edits_roles', r.id, 'organizations may edit the role, but nobody in them has the permission to', 'Give a role roles.manage.'
    FROM role r WHERE r.editable AND NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'roles.manage')
    -- Spaces
    UNION ALL
    SELECT 'error', 'nobody_assigns_spaces', r.id, 'its holders reach assigned spaces only, and nobody may assign one', 'Give a role spaces.assign.'
    FROM role r WHERE NOT r.all_spaces AND NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'spaces.assign')
    UNION ALL
    SELECT 'warning', 'nothing_in_spaces', r.id, 'its holders reach assigned spaces only, and the role permits nothing in spaces',
           'Give it a permission of the scope space, or set role_templates.all_spaces.'
    FROM role r WHERE NOT r.all_spaces AND NOT EXISTS (SELECT FROM orgusers.permissions k WHERE k.key = ANY (r.may) AND k.scope = 'space')
    -- Sub-accounts
    UNION ALL
    SELECT 'warning', 'no_sub_accounts', s.subject, s.problem, 'Give a role subaccounts.manage.'
    FROM (SELECT r.id, 'the role reaches into sub-accounts, which nobody may make' FROM role r WHERE r.reaches_below
          UNION ALL SELECT r.id, 'the role is for who is put in charge of a sub-account, which nobody may make' FROM role r WHERE r.in_charge
          UNION ALL SELECT rules.id, 'addresses are used once in a tree of sub-accounts, which nobody may make' WHERE rules.unique_in_tree) AS s (subject, problem)
    WHERE NOT EXISTS (SELECT FROM somebody b WHERE b.may = 'subaccounts.manage')
    UNION ALL
    SELECT 'warning', 'person_in_charge_not_invited', r.id, format('the role permits to make sub-accounts, but not to put somebody in charge of one as %s', c.id),
           'Add that role to role_template_grants, and set role_templates.reaches_below.'
    FROM role r JOIN role c ON c.in_charge OR c.founder AND NOT EXISTS (SELECT FROM role i WHERE i.in_charge)
    WHERE 'subaccounts.manage' = ANY (r.may) AND (c.id <> ALL (r.gives) OR NOT r.reaches_below OR 'users.invite' <> ALL (r.may))
    -- Paying
    UNION ALL
    SELECT 'error', 'founder_is_free', p.id, 'the default plan is a paid one, and the founder, its billing admin, takes no seat', 'Set role_templates.holds_seat for the founder''s role.'
    FROM plan p WHERE p.paid AND EXISTS (SELECT FROM role r WHERE r.founder) AND NOT EXISTS (SELECT FROM role r WHERE r.founder AND r.holds_seat)
    UNION ALL
    SELECT 'error', 'nobody_manages_billing', p.id, 'the default plan is a paid one, and nobody may choose another billing admin', 'Give a role billing.manage.'
    FROM plan p WHERE p.paid AND NOT EXISTS (SELECT FROM somebody s WHERE s.may = 'billing.manage')
    -- Mail
    UNION ALL
    SELECT 'error', 'no_mail_template', k.kind, 'there is no template for this kind of mail, so what would send it is refused', 'install_mail_templates() adds what is missing.'
    FROM unnest(ARRAY['invitation', 'invitation_canceled', 'invitation_declined', 'welcome', 'user_left', 'user_removed',
                      'user_deactivated', 'user_reactivated', 'billing_admin_changed']) AS k (kind)
    WHERE NOT EXISTS (SELECT FROM orgusers.mail_templates m WHERE m.policy = rules.id AND m.kind = k.kind)
    ORDER BY 1, 2, 3, 4;
END $$;
COMMENT ON FUNCTION orgusers.check_policy(text) IS 'Contradictions in a rule-book, a row each; none when all is well. severity is error (something cannot work) or warning (something is useless, or likely a mistake); finding is a word for programs; subject the role, plan, kind of mail or policy that it is about; hint says what to do. Changes nothing. For the database''s owner. OU105 no such policy';

CREATE FUNCTION orgusers.refresh_roles(policy text, template text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given bigint;
BEGIN
    -- Whoever refreshes at the same moment waits, and then finds the roles made.
    PERFORM FROM orgusers.policies p WHERE p.id = refresh_roles.policy FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'no such policy',
            HINT = 'The table orgusers.policies lists them.';
    ELSIF refresh_roles.template IS NOT NULL
          AND NOT EXISTS (SELECT FROM orgusers.role_templates t WHERE t.policy = refresh_roles.policy AND t.id = refresh_roles.template) THEN
        RAISE EXCEPTION USING ERRCODE = 'OU103', MESSAGE = 'the policy has no such role template',
            HINT = 'The table orgusers.role_templates lists them by their ids.';
    END IF;
    -- An editable role that is missing can have been deleted by its organization: that one comes back by name only.
    INSERT INTO orgusers.roles (org_id, policy, template, name)
        SELECT o.id, t.policy, t.id,
               CASE WHEN EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = o.id AND r.name = t.name)
                    THEN left(t.name, 130) || ' (' || t.id || ')' ELSE t.name END
        FROM orgusers.role_templates t JOIN orgusers.organizations o ON o.policy = t.policy
        WHERE t.policy = refresh_roles.policy
          AND CASE WHEN refresh_roles.template IS NULL THEN NOT t.editable ELSE t.id = refresh_roles.template END
          AND NOT EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = o.id AND r.template = t.id AND NOT r.further);
    GET DIAGNOSTICS given = ROW_COUNT;
    RETURN given;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'OU107', MESSAGE = 'an organization has a role of this name already',
        HINT = 'Rename the template, or that organization''s role.';
END $$;
COMMENT ON FUNCTION orgusers.refresh_roles(text, text) IS 'Gives the organizations under a policy the roles of templates that were added after them, in one statement; returns how many roles were made. template (its id) names one; NULL means all but editable ones, which an organization can have deleted on purpose. Where a role of the organization''s own has the name, the template''s id is put behind it. Organizations being made at the same moment may miss it: call it again. For the database''s owner. OU103 no such template, OU105 no such policy, OU107 both names in use';
