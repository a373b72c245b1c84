-- Rule-books as data.  All tables of this module are empty after CREATE EXTENSION: a rule-book's rows
-- come from its installer (presets/) or from the DBA, and from then on they are the DBA's to edit, to dump
-- and to replicate whole.

-- Refused are control characters and what makes a name look like another, or like nothing: separators of lines, changes of
-- the direction of writing, and characters that are never seen.  Not those that join or part letters (U+200C, U+200D):
-- Persian, Indic scripts and emoji need them.
CREATE FUNCTION orgusers.is_name(name text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_is_name';
COMMENT ON FUNCTION orgusers.is_name(text) IS 'Whether a text can name something: 1 to 200 characters, none of them a control character, one without a shape or one that changes the direction of writing, no blank at either end. Internal';

-- In PL/pgSQL: a function in SQL would be inlined into each CHECK that names it, and planned again by every statement
-- that writes the table.
CREATE FUNCTION orgusers.is_permission_key(key text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN key ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' AND octet_length(key) <= 63;
END $$;
COMMENT ON FUNCTION orgusers.is_permission_key(text) IS 'Whether a text can be the key of a permission: dotted lower case, at most 63 bytes. Internal';

CREATE TABLE orgusers.permissions (
    key         text PRIMARY KEY CHECK (orgusers.is_permission_key(key)),
    description text NOT NULL,
    scope       text NOT NULL DEFAULT 'organization' CHECK (scope IN ('organization', 'space'))
);
COMMENT ON TABLE orgusers.permissions IS 'Everything that can be permitted in an organization. The extension''s own keys come with a rule-book; applications register theirs with register_permission';
COMMENT ON COLUMN orgusers.permissions.key IS 'Dotted lower-case key such as users.invite';
COMMENT ON COLUMN orgusers.permissions.scope IS 'organization: it holds in the organization as a whole. space: it is about what is in spaces, so a role that reaches assigned spaces only gives it in these only';
COMMENT ON COLUMN orgusers.permissions.description IS 'What holding it allows, for the people who edit roles';
SELECT pg_extension_config_dump('orgusers.permissions', '');

CREATE TABLE orgusers.plans (
    id             text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9_]{0,62}$'),
    title          text NOT NULL CHECK (orgusers.is_name(title)),
    paid           boolean NOT NULL,
    seats          integer CHECK (seats > 0),
    seat_price     numeric(12,2) CHECK (seat_price >= 0),
    currency       text CHECK (currency ~ '^[A-Z]{3}$'),
    billing_period text CHECK (billing_period IN ('month', 'year')),
    UNIQUE (id, paid),
    CONSTRAINT plans_whole_price CHECK (num_nonnulls(seat_price, currency, billing_period) IN (0, 3)),
    CONSTRAINT plans_price_of_paid CHECK (paid OR seat_price IS NULL)
);
COMMENT ON TABLE orgusers.plans IS 'Plans that an organization can subscribe to';
COMMENT ON COLUMN orgusers.plans.paid IS 'A subscription to a paid plan has a billing admin, any other has none';
COMMENT ON COLUMN orgusers.plans.seat_price IS 'Price of a seat for a whole billing period, on a paid plan; NULL when the plan is not billed by seats. The price, its currency and its period cannot change once an organization has had the plan (OU009): make a new plan instead';
COMMENT ON COLUMN orgusers.plans.currency IS 'Of the price, by its ISO 4217 code; amounts have two decimals';
COMMENT ON COLUMN orgusers.plans.billing_period IS 'month or year, of the calendar and of the organization''s time zone';
COMMENT ON COLUMN orgusers.plans.seats IS 'Most active users with a seat that an organization on this plan can have, free ones not counted; NULL is no cap. Lowering it below what an organization uses is refused (OU301): make a new plan instead';
SELECT pg_extension_config_dump('orgusers.plans', '');

CREATE TABLE orgusers.policies (
    id                  text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9_]{0,62}$'),
    title               text NOT NULL CHECK (orgusers.is_name(title)),
    default_plan        text NOT NULL REFERENCES orgusers.plans,
    product_name        text NOT NULL CHECK (orgusers.is_name(product_name)),
    accept_url          text NOT NULL CHECK (accept_url ~ '^https?://' AND accept_url LIKE '%{{token}}%' AND accept_url !~ '[[:cntrl:][:space:]]'),
    join_url            text CHECK (join_url ~ '^https?://' AND join_url LIKE '%{{token}}%' AND join_url !~ '[[:cntrl:][:space:]]'),
    mail_from           orgusers.email NOT NULL,
    invitation_lifetime interval NOT NULL CHECK (invitation_lifetime > '0' AND invitation_lifetime <= '100 years'),
    declined_blocks     boolean NOT NULL DEFAULT false,
    pending_holds_seat  boolean NOT NULL DEFAULT false,
    own_role_change     boolean NOT NULL DEFAULT false,
    self_removal        boolean NOT NULL DEFAULT false,
    leaving             boolean NOT NULL DEFAULT true,
    daily_invitations   integer CHECK (daily_invitations > 0),
    spaces_per_call     integer CHECK (spaces_per_call > 0),
    unique_in_tree      boolean NOT NULL DEFAULT false,
    welcome_mail        boolean NOT NULL DEFAULT false,
    activity_interval   interval NOT NULL DEFAULT '5 minutes' CHECK (activity_interval >= '0' AND activity_interval <= '100 years')
);
COMMENT ON TABLE orgusers.policies IS 'A rule-book for organizations: one row of switches, with its role templates and mail templates. Edited by the database''s owner with plain SQL';
COMMENT ON COLUMN orgusers.policies.default_plan IS 'Plan of an organization made under this policy';
COMMENT ON COLUMN orgusers.policies.product_name IS 'Product whose organizations these are, as mails name it';
COMMENT ON COLUMN orgusers.policies.accept_url IS 'Address of the page that answers an invitation; {{token}} stands where the token goes. Behind a # it stays out of web servers'' logs';
COMMENT ON COLUMN orgusers.policies.join_url IS 'Address of the page that join links lead to, with {{token}} as in accept_url; NULL is the page of accept_url, which then answers both';
COMMENT ON COLUMN orgusers.policies.mail_from IS 'Sender of the mails';
COMMENT ON COLUMN orgusers.policies.invitation_lifetime IS 'Time from sending to expiry';
COMMENT ON COLUMN orgusers.policies.declined_blocks IS 'A declined invitation must be removed before the address can be invited again';
COMMENT ON COLUMN orgusers.policies.pending_holds_seat IS 'A pending, unexpired invitation takes a seat when further people are invited; acceptance checks the seats of users only';
COMMENT ON COLUMN orgusers.policies.own_role_change IS 'Users who may assign roles may change their own';
COMMENT ON COLUMN orgusers.policies.self_removal IS 'Users who may remove users may remove themselves';
COMMENT ON COLUMN orgusers.policies.leaving IS 'Users may give up their access to an organization by themselves, with leave_organization()';
COMMENT ON COLUMN orgusers.policies.daily_invitations IS 'Most invitations that one user sends for an organization within a day of the organization''s time zone, sending again included; NULL is no limit';
COMMENT ON COLUMN orgusers.policies.spaces_per_call IS 'Most new spaces that one call assigns to a user or an invitation; NULL is no limit';
COMMENT ON COLUMN orgusers.policies.unique_in_tree IS 'An address is used once in an account and all its sub-accounts: as a user''s or in a pending invitation';
COMMENT ON COLUMN orgusers.policies.welcome_mail IS 'Who becomes a user of an organization under this policy for the first time gets a mail of the kind welcome';
COMMENT ON COLUMN orgusers.policies.activity_interval IS 'How far the last activity that list_users() shows may be behind: record_activity() writes no more often for a user and organization';
SELECT pg_extension_config_dump('orgusers.policies', '');

CREATE TABLE orgusers.role_templates (
    policy        text NOT NULL REFERENCES orgusers.policies ON DELETE CASCADE,
    id            text NOT NULL CHECK (id ~ '^[a-z][a-z0-9_]{0,62}$'),
    name          text NOT NULL CHECK (orgusers.is_name(name)),
    founder       boolean NOT NULL DEFAULT false,
    by_default    boolean NOT NULL DEFAULT false,
    least_holders integer NOT NULL DEFAULT 0 CHECK (least_holders >= 0),
    most_holders  integer CHECK (most_holders > 0 AND most_holders >= least_holders),
    all_spaces    boolean NOT NULL DEFAULT true,
    most_spaces   integer CHECK (most_spaces > 0),
    holds_seat    boolean NOT NULL DEFAULT true,
    reaches_below boolean NOT NULL DEFAULT false,
    editable      boolean NOT NULL DEFAULT false,
    joinable      boolean NOT NULL DEFAULT false,
    in_charge     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (policy, id),
    UNIQUE (policy, id, holds_seat),
    UNIQUE (policy, name),
    UNIQUE (policy, id, editable),
    CHECK (most_spaces IS NULL OR NOT all_spaces),
    -- Who edits a role gives what they have in the organization, which need not be theirs in its sub-accounts; and users
    -- of a free role with everything in it would take no seat.
    CHECK (NOT editable OR (least_holders = 0 AND most_holders IS NULL AND NOT founder AND NOT reaches_below AND holds_seat))
);
COMMENT ON TABLE orgusers.role_templates IS 'Roles that every organization under the policy has. What such a role permits is the template''s, for all its organizations at once';
COMMENT ON COLUMN orgusers.role_templates.founder IS 'Given to the user who makes an organization';
COMMENT ON COLUMN orgusers.role_templates.by_default IS 'Given by an invitation that names no role';
COMMENT ON COLUMN orgusers.role_templates.least_holders IS 'No change may take an active holder away from an organization and leave it with fewer. A raised number binds the next such change of each organization';
COMMENT ON COLUMN orgusers.role_templates.most_holders IS 'No change may leave an organization with more active holders; NULL is no limit. A lowered number binds the next change of each organization';
COMMENT ON COLUMN orgusers.role_templates.most_spaces IS 'Most spaces that can be assigned to a holder, directly and by groups; NULL is no limit. Of several roles the smallest counts. A lowered number binds the next change about each user';
COMMENT ON COLUMN orgusers.role_templates.holds_seat IS 'Holders take a seat of the plan; otherwise the role is free. A user holds roles of one kind only; who holds a free one has no groups and no single permissions beside it. Cannot change while somebody holds the role (23503)';
COMMENT ON COLUMN orgusers.role_templates.reaches_below IS 'What the role permits in an account it permits in all its sub-accounts, too';
COMMENT ON COLUMN orgusers.role_templates.editable IS 'An organization may change what its role permits, delete the role, and make further roles like it. Never a founder''s role, one with a least or greatest number of holders, one that reaches below, or a free one';
COMMENT ON COLUMN orgusers.role_templates.joinable IS 'The role can be given by join links and join domains, without an invitation';
COMMENT ON COLUMN orgusers.role_templates.in_charge IS 'Given to the person who is put in charge of a new sub-account; where no role is marked, the founder''s roles are';
COMMENT ON COLUMN orgusers.role_templates.all_spaces IS 'Holders reach every space of the organization; otherwise only the spaces assigned to them or to their groups';
SELECT pg_extension_config_dump('orgusers.role_templates', '');

CREATE TABLE orgusers.role_template_permissions (
    policy     text NOT NULL,
    template   text NOT NULL,
    permission text NOT NULL REFERENCES orgusers.permissions ON DELETE CASCADE,
    PRIMARY KEY (policy, template, permission),
    FOREIGN KEY (policy, template) REFERENCES orgusers.role_templates ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE orgusers.role_template_permissions IS 'What a role of this template permits its holder';
SELECT pg_extension_config_dump('orgusers.role_template_permissions', '');

CREATE TABLE orgusers.role_template_grants (
    policy    text NOT NULL,
    template  text NOT NULL,
    grantable text NOT NULL,
    PRIMARY KEY (policy, template, grantable),
    FOREIGN KEY (policy, template) REFERENCES orgusers.role_templates ON UPDATE CASCADE ON DELETE CASCADE,
    FOREIGN KEY (policy, grantable) REFERENCES orgusers.role_templates ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE orgusers.role_template_grants IS 'Which roles (grantable) a holder of the template''s role may give to users and take from them';
SELECT pg_extension_config_dump('orgusers.role_template_grants', '');

CREATE TABLE orgusers.base_permissions (
    policy     text NOT NULL REFERENCES orgusers.policies ON UPDATE CASCADE ON DELETE CASCADE,
    permission text NOT NULL REFERENCES orgusers.permissions ON DELETE CASCADE,
    PRIMARY KEY (policy, permission)
);
COMMENT ON TABLE orgusers.base_permissions IS 'What every active user of the policy''s organizations may do, without any role';
SELECT pg_extension_config_dump('orgusers.base_permissions', '');

CREATE FUNCTION orgusers.register_permission(key text, description text, scope text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF orgusers.is_permission_key(register_permission.key) IS NOT TRUE OR register_permission.description IS NULL
       OR register_permission.scope NOT IN ('organization', 'space') THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'this is not a permission with a description and a scope',
            HINT = 'A key is dotted lower case such as docs.read, 63 bytes at most; the scope is organization or space.';
    END IF;
    INSERT INTO orgusers.permissions (key, description, scope)
        VALUES (register_permission.key, register_permission.description, coalesce(register_permission.scope, 'organization'))
        ON CONFLICT ON CONSTRAINT permissions_pkey DO UPDATE
            SET description = excluded.description, scope = coalesce(register_permission.scope, permissions.scope);
END $$;
COMMENT ON FUNCTION orgusers.register_permission(text, text, text) IS 'Makes a permission of the application known, or describes it anew; scope (organization, space) says where it holds; NULL leaves it as it is, and is organization for a new one. Roles get it by a row of role_template_permissions. For the database''s owner. OU009 bad key or scope, or no description';

-- The keys that the extension's own functions ask for.
CREATE FUNCTION orgusers.install_permissions() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO orgusers.permissions (key, description) VALUES
        ('organization.view',   'See the organization, its roles and its groups'),
        ('organization.rename', 'Change the organization''s name'),
        ('organization.delete', 'Delete the organization'),
        ('users.view',          'List users and invitations'),
        ('users.invite',        'Invite users; resend, cancel and remove invitations'),
        ('users.remove',        'Remove users from the organization'),
        ('users.deactivate',    'Deactivate and reactivate users'),
        ('roles.assign',        'Give roles to users and take them'),
        ('groups.manage',       'Make, rename and delete groups, and choose their users and roles'),
        ('roles.manage',        'Make, change and delete roles'),
        ('subaccounts.manage',  'Make sub-accounts'),
        ('joining.manage',      'Make and revoke join links, and claim join domains'),
        ('audit.view',          'Read the audit trail'),
        ('billing.view',        'See the plan, the billing admin and the further billing addresses'),
        ('billing.statement',   'See what seats are used and billed'),
        ('billing.manage',      'Change the billing admin and the further billing addresses'),
        ('subscription.manage', 'Change the plan; the application requires it before it calls set_plan()')
    ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.permissions (key, description, scope) VALUES
        ('spaces.view',   'See spaces and who is assigned to them',                  'space'),
        ('spaces.manage', 'Make, rename and delete spaces',                           'organization'),
        ('spaces.assign', 'Assign spaces to users and groups',                        'organization'),
        ('permissions.assign', 'Give single permissions to users and take them',      'organization')
    ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION orgusers.install_permissions() IS 'Makes the permissions known that the extension''s own functions ask for; called by the rule-books'' installers. For the database''s owner';
