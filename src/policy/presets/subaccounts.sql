-- The rule-book "sub-accounts": a tree of accounts, roles and single permissions side by side, one address a tree.

CREATE FUNCTION orgusers.install_subaccounts(product_name text DEFAULT 'Example', accept_url text DEFAULT 'https://example.org/invitation#{{token}}',
                                             mail_from orgusers.email DEFAULT 'no-reply@example.org') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.begin_policy('subaccounts');
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from,
                                   invitation_lifetime, declined_blocks, own_role_change, self_removal, leaving, unique_in_tree)
        VALUES ('subaccounts', 'Sub-accounts', 'basic', install_subaccounts.product_name, install_subaccounts.accept_url,
                install_subaccounts.mail_from, '30 days', true, false, false, false, true);
    -- No least_holders: a sub-account has no Account Admin of its own.  As nobody changes or removes themselves,
    -- an account keeps the last one all the same.
    INSERT INTO orgusers.role_templates (policy, id, name, founder, in_charge, by_default, reaches_below) VALUES
        ('subaccounts', 'account_admin', 'Account Admin', true,  false, false, true),
        ('subaccounts', 'team_admin',    'Team Admin',    false, true,  false, false),
        ('subaccounts', 'accountant',    'Accountant',    false, false, false, false),
        ('subaccounts', 'member',        'Member',        false, false, true,  false);
    INSERT INTO orgusers.role_template_permissions (policy, template, permission)
        SELECT 'subaccounts', r.template, unnest(r.permissions) FROM (VALUES
            ('account_admin', '{organization.view,organization.rename,organization.delete,subaccounts.manage,'
                              'users.view,users.invite,users.remove,users.deactivate,roles.assign,permissions.assign,audit.view,'
                              'spaces.view,spaces.manage,spaces.assign,'
                              'billing.view,billing.statement,billing.manage,subscription.manage}'::text[]),
            ('team_admin',    '{organization.view,organization.rename,'
                              'users.view,users.invite,users.remove,users.deactivate,roles.assign,permissions.assign,'
                              'spaces.view,spaces.manage,spaces.assign,billing.view,billing.statement,billing.manage}'),
            ('accountant',    '{organization.view,billing.view,billing.statement,billing.manage}'),
            ('member',        '{organization.view,spaces.view}')) AS r (template, permissions);
    INSERT INTO orgusers.role_template_grants (policy, template, grantable) VALUES
        ('subaccounts', 'account_admin', 'account_admin'),
        ('subaccounts', 'account_admin', 'team_admin'),
        ('subaccounts', 'account_admin', 'accountant'),
        ('subaccounts', 'account_admin', 'member'),
        ('subaccounts', 'team_admin',    'team_admin'),
        ('subaccounts', 'team_admin',    'accountant'),
        ('subaccounts', 'team_admin',    'member');
    PERFORM orgusers.install_mail_templates('subaccounts');
END $$;
COMMENT ON FUNCTION orgusers.install_subaccounts(text, text, orgusers.email) IS 'Installs the policy subaccounts: the roles Account Admin (everything, in all sub-accounts too), Team Admin (the users of one account), Accountant and Member, of which a user can have any number beside single permissions; an address is used once in a tree, a declined invitation must be removed first, nobody changes their own roles; with mail templates with this product name, page that answers invitations ({{token}} stands for the token) and sender. Choices where a rule was open: an invitation is good for 30 days, one that names no role gives Member, nobody leaves by themselves. All of it is data, to be edited afterwards. For the database''s owner. OU107 when it is installed';
