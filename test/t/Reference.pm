# What rights are, said a second time: views that read nothing of the extension but its tables.
package Reference;

use strict;
use warnings;

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

1;
