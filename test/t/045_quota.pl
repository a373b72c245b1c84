# Exactly so many invitations a day as the policy says, however many sessions send them at once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use Test::More;
use WarmSession;

my ($clients, $tries, $most) = (6, 15, 50);
my $admin = '00000000-0000-0000-0000-00000000000a';
my %org = (
	'READ COMMITTED'  => '00000000-0000-0000-0000-000000000001',
	'REPEATABLE READ' => '00000000-0000-0000-0000-000000000002',
	'SERIALIZABLE'    => '00000000-0000-0000-0000-000000000003');

my $node = PostgreSQL::Test::Cluster->new('quota');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off\ndeadlock_timeout = 50ms\nmax_connections = 40");
$node->start;
my $founding = join "\n", map { "PERFORM orgusers.create_organization('$_', 'plans_and_groups', '$org{$_}'); PERFORM orgusers.set_plan('$org{$_}', 'paid', '$admin');" } sort keys %org;
$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
UPDATE orgusers.policies SET daily_invitations = $most;
SELECT orgusers.add_mailer_key('2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=');
SELECT orgusers.register_user('ann\@example.org', id => '$admin', email_verified => true);
DO \$\$ BEGIN PERFORM orgusers.act_as('$admin'); $founding END \$\$;
});

# Each client invites addresses of its own, sends one again now and then, and rolls some back.
for my $level (sort keys %org)
{
	my @sessions = map { WarmSession->new($node) } 1 .. $clients;
	for my $client (1 .. $clients)
	{
		my $script = "\\o /dev/null\nSET orgusers.user_id = '$admin';\n";
		for my $try (1 .. $tries)
		{
			my $end = $try % 5 == 0 ? 'ROLLBACK' : 'COMMIT';
			my $call = $try % 4 == 0
			  ? "orgusers.resend_invitation(i.org_id, i.id) FROM (SELECT * FROM orgusers.invitations WHERE org_id = '$org{$level}' ORDER BY random() LIMIT 1) i"
			  : "orgusers.invite_user('$org{$level}', 'c$client.t$try\@example.org')";
			$script .= "BEGIN ISOLATION LEVEL $level;\nSELECT $call;\n\\echo try :SQLSTATE\nSELECT pg_sleep(0.002);\n$end;\n";
		}
		$sessions[ $client - 1 ]->send($script);
	}
	my %count;
	$count{$_}++ for map { $_->answer =~ /^try (\w{5})$/mg } @sessions;
	$_->quit for @sessions;
	diag("$level: " . join(', ', map { "$count{$_} $_" } sort keys %count));
	is(join(' ', grep { !/^(00000|OU212|40001)$/ } sort keys %count), '', "E3: $level: no other error");
	is($count{'40001'}, undef, "E3: $level: no serialization failure") if $level eq 'READ COMMITTED';

	# What serialization failures and rollbacks have left over, one after the other.
	my $query = sub { $node->safe_psql('postgres', "SET orgusers.user_id = '$admin'; $_[0]") };
	for my $rest (1 .. $query->("SELECT orgusers.invitations_left('$org{$level}')"))
	{
		$query->("SELECT orgusers.invite_user('$org{$level}', 'rest$rest\@example.org')");
	}
	my ($ret, $stdout, $stderr) = $node->psql('postgres',
		"\\set VERBOSITY sqlstate\nSET orgusers.user_id = '$admin'; SELECT orgusers.invite_user('$org{$level}', 'more\@example.org')");
	like($stderr, qr/OU212/, "E3: $level: then there are no more");
	# Every sending has left one mail, withdrawn by now or not, in the outbox.
	is($query->("SELECT count(*) FROM orgusers.mail_outbox WHERE org_id = '$org{$level}' AND kind = 'invitation'"), $most, "E3: $level: exactly $most went out");
	is($query->("SELECT sum(used) FROM orgusers.invitation_quota WHERE org_id = '$org{$level}'"), $most, "E3: $level: and are counted");
}

done_testing();
