# What rights are and what must hold, said a second time: views that read nothing of the extension but its tables.
package Reference;

use strict;
use warnings;

# Rights: roles held, what they permit, accounts above, spaces assigned.
sub views
{
	return q{
CREATE VIEW held AS
	SELECT ms.user_id, ms.org_id, r.name, r.id AS role_id FROM orgusers.memberships ms, orgusers.membership_roles mr, orgusers.roles r
	WHERE ms.status = 'active' AND mr.user_id = ms.user_id AND mr.org_id = ms.org_id AND r.id = mr.role_id AND r.org_id = mr.org_id
	UNION
	SELECT ms.user_id, ms.org_id, r.name, r.id FROM orgusers.memberships ms, orgusers.group_members gm, orgusers.group_roles gr, orgusers.roles r
	WHERE ms.status = 'active' AND gm.user_id = ms.user_id AND gm.org_id = ms.org_id AND gr.group_id = gm.group_id AND gr.org_id = gm.org_id
	  AND r.id = gr.role_id AND r.org_id = gr.org_id;
CREATE VIEW permits AS
	SELECT r.org_id, r.id AS role_id, k.key AS permission, rt.all_spaces OR k.scope <> 'space' AS in_all
	FROM orgusers.roles r, orgusers.role_templates rt, orgusers.permissions k
	WHERE rt.policy = r.policy AND rt.id = r.template
	  AND CASE WHEN r.edited THEN EXISTS (SELECT FROM orgusers.role_permissions x WHERE x.org_id = r.org_id AND x.role_id = r.id AND x.permission = k.key)
	           ELSE EXISTS (SELECT FROM orgusers.role_template_permissions x WHERE x.policy = r.policy AND x.template = r.template AND x.permission = k.key) END;
CREATE VIEW above AS
	WITH RECURSIVE up (org_id, account_id) AS (
		SELECT id, parent_id FROM orgusers.organizations WHERE parent_id IS NOT NULL
		UNION ALL SELECT up.org_id, o.parent_id FROM up, orgusers.organizations o WHERE o.id = up.account_id AND o.parent_id IS NOT NULL)
	SELECT * FROM up;
CREATE VIEW reached AS
	SELECT h.user_id, above.org_id, h.org_id AS account_id, h.role_id FROM held h, above, orgusers.roles r, orgusers.role_templates rt
	WHERE above.account_id = h.org_id AND r.org_id = h.org_id AND r.id = h.role_id AND rt.policy = r.policy AND rt.id = r.template AND rt.reaches_below;
CREATE VIEW assigned AS
	SELECT s.org_id, s.id AS space_id, ms.user_id FROM orgusers.spaces s, orgusers.memberships ms
	WHERE ms.org_id = s.org_id AND ms.status = 'active'
	  AND (EXISTS (SELECT FROM orgusers.space_members sm WHERE sm.org_id = s.org_id AND sm.space_id = s.id AND sm.user_id = ms.user_id)
	    OR EXISTS (SELECT FROM orgusers.space_groups sg, orgusers.group_members gm
			WHERE sg.org_id = s.org_id AND sg.space_id = s.id AND gm.org_id = s.org_id AND gm.group_id = sg.group_id AND gm.user_id = ms.user_id));
};
}

# What must hold in every snapshot of what is committed: rows are what does not.
sub broken
{
	return q{
CREATE VIEW broken AS
	SELECT 'more active users than seats' AS rule, s.org_id FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan
		JOIN orgusers.memberships m ON m.org_id = s.org_id AND m.status = 'active' AND m.holds_seat GROUP BY s.org_id, p.seats HAVING count(*) > p.seats
	UNION ALL
	SELECT 'a billing admin, who is an active user, on paid plans and no other', s.org_id FROM orgusers.subscriptions s JOIN orgusers.plans p ON p.id = s.plan
		WHERE p.paid <> EXISTS (SELECT FROM orgusers.memberships m WHERE m.org_id = s.org_id AND m.user_id = s.billing_admin_id AND m.status = 'active')
		   OR NOT p.paid AND s.billing_admin_id IS NOT NULL
	UNION ALL
	SELECT 'least and most holders', o.id FROM orgusers.organizations o JOIN orgusers.role_templates t ON t.policy = o.policy
		CROSS JOIN LATERAL (SELECT count(DISTINCT m.user_id) AS n FROM orgusers.roles r, orgusers.membership_roles mr, orgusers.memberships m
			WHERE r.org_id = o.id AND r.template = t.id AND mr.org_id = o.id AND mr.role_id = r.id
			  AND m.org_id = o.id AND m.user_id = mr.user_id AND m.status = 'active') AS holders
		WHERE holders.n < t.least_holders OR holders.n > t.most_holders
	UNION ALL
	SELECT 'spaces of a guest', h.org_id FROM (SELECT org_id, user_id, role_id FROM orgusers.membership_roles
			UNION SELECT gm.org_id, gm.user_id, gr.role_id FROM orgusers.group_members gm JOIN orgusers.group_roles gr USING (org_id, group_id)) h
		JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id
		JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template AND t.most_spaces IS NOT NULL
		JOIN (SELECT org_id, user_id, space_id FROM orgusers.space_members
			UNION SELECT gm.org_id, gm.user_id, sg.space_id FROM orgusers.group_members gm JOIN orgusers.space_groups sg USING (org_id, group_id)) a
			ON a.org_id = h.org_id AND a.user_id = h.user_id
		GROUP BY h.org_id, h.user_id, h.role_id, t.most_spaces HAVING count(DISTINCT a.space_id) > t.most_spaces
	UNION ALL
	SELECT 'one pending invitation for an address', org_id FROM orgusers.invitations WHERE status = 'pending' GROUP BY org_id, lower(email::text) HAVING count(*) > 1
	UNION ALL
	SELECT 'an address once in a tree', used.root_id FROM (
			SELECT o.root_id, o.id, lower(u.email::text) AS email FROM orgusers.organizations o JOIN orgusers.memberships m ON m.org_id = o.id JOIN orgusers.users u ON u.id = m.user_id WHERE o.policy = 'subaccounts'
			UNION ALL SELECT o.root_id, o.id, lower(i.email::text) FROM orgusers.organizations o JOIN orgusers.invitations i ON i.org_id = o.id WHERE o.policy = 'subaccounts' AND i.status = 'pending' AND i.expires_at > clock_timestamp()) used
		GROUP BY used.root_id, used.email HAVING count(DISTINCT used.id) > 1
	UNION ALL
	SELECT 'every organization has a plan', o.id FROM orgusers.organizations o WHERE NOT EXISTS (SELECT FROM orgusers.subscriptions s WHERE s.org_id = o.id)
	UNION ALL
	SELECT 'uses of a link', org_id FROM orgusers.join_links WHERE uses > most_uses
	UNION ALL
	SELECT 'the day''s invitations', q.org_id FROM orgusers.invitation_quota q JOIN orgusers.organizations o ON o.id = q.org_id JOIN orgusers.policies p ON p.id = o.policy
		WHERE q.used > coalesce(p.daily_invitations, 0);
};
}

1;
