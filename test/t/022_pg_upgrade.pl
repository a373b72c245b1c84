# pg_upgrade keeps everything, and mail goes on.  From the server installed at OLD_INSTALL, else from this very version.
use strict;
use warnings;
use Cwd qw(abs_path);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Installation;
use MailRoom;

chomp(my $bindir = qx(pg_config --bindir));
my ($major) = qx(pg_config --version) =~ /(\d+)/;
my $install = $ENV{OLD_INSTALL};
my $old = PostgreSQL::Test::Cluster->new('old', $install ? (install_path => $install) : ());
my $old_bindir = $install ? "$install/bin" : $bindir;
$old->init(extra => [ '--locale', 'C.UTF-8', '--encoding', 'UTF8' ]);
$old->start;
my $new = PostgreSQL::Test::Cluster->new('new');
# As the old one has them, whatever the new version's defaults are.
my $sums = $old->safe_psql('postgres', 'SHOW data_checksums') eq 'on' ? [ '--data-checksums' ] : $major >= 18 ? [ '--no-data-checksums' ] : [];
$new->init(extra => [ '--locale', 'C.UTF-8', '--encoding', 'UTF8', @$sums ]);

my $room = bless { node => $old, dir => PostgreSQL::Test::Utils::tempdir, files => 0, running => [] }, 'MailRoom';
$room->{key} = "$room->{dir}/key";
my ($code, $out) = $room->command('keygen', '--out', $room->{key});
my ($key) = $out =~ /'([^']{44})'/ or BAIL_OUT('no key');
$old->safe_psql('postgres', $Installation::roles);
Installation::make($old, 'postgres', $key);
# A mail that is with a mailer now.
is($old->safe_psql('postgres', 'SELECT count(*) FROM orgusers.claim_mail(1)'), '1', 'a mail is leased');

my $questions = join ' UNION ALL ', map {
	my $user = $_;
	"SELECT '$user', o.id, p.key, (SELECT orgusers.can(o.id, p.key) FROM set_config('orgusers.user_id', '$user', false)) FROM orgusers.organizations o, orgusers.permissions p"
} @Installation::users;
my %asked = (
	'every row of every table' => $Installation::contents,
	'every privilege' => $Installation::acls,
	'every answer' => "SELECT count(*), md5(string_agg(a::text, ',' ORDER BY a::text)) FROM ($questions) a",
	'who is asked about' => "SELECT count(*) FROM ($questions) a (u, o, p, answer) WHERE answer",
	'the installation' => 'SELECT id FROM orgusers.installation',
	'mail' => 'SELECT queued, leased, sent, dead, withdrawn, held FROM orgusers.mail_status()',
	'health_check' => q{SELECT string_agg(severity || ' ' || finding || ' ' || detail, E'\n' ORDER BY finding, detail) FROM orgusers.health_check(true) WHERE severity = 'error'},
	'epochs' => 'SELECT string_agg(id || epoch::text, E\'\n\' ORDER BY id) FROM orgusers.organizations',
	'the extension' => q{SELECT extversion, (SELECT string_agg(t::regclass || c, ',' ORDER BY t::regclass::text) FROM unnest(extconfig, extcondition) u (t, c)) FROM pg_extension WHERE extname = 'orgusers'});
my %before = map { $_ => $old->safe_psql('postgres', $asked{$_}) } keys %asked;
cmp_ok($before{'who is asked about'}, '>', 20, 'some questions are answered with yes');
is($before{health_check}, '', 'nothing is wrong before');
like($before{mail}, qr/^[1-9]\d*\|[1-9]\d*\|[1-9]\d*\|[1-9]\d*\|[1-9]\d*\|0$/, 'there is mail of each kind');
$old->stop;

# It writes to where it is started.
command_ok(
	[ 'sh', '-c', 'cd "$1" && shift && exec pg_upgrade "$@"', 'sh', $room->{dir}, '--no-sync', '-d', abs_path($old->data_dir), '-D', abs_path($new->data_dir), '-b', $old_bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'pg_upgrade');
$new->start;
like($new->safe_psql('postgres', 'SHOW server_version'), qr/^$major\b/, 'the new version');
# Since 17 an owner may MAINTAIN.
is($new->safe_psql('postgres', $asked{$_}) =~ s/arwdDxtm/arwdDxt/gr, $before{$_} =~ s/arwdDxtm/arwdDxt/gr, "as before: $_") for sort keys %asked;
is($new->safe_psql('postgres', 'SELECT extversion = orgusers.version() FROM pg_extension WHERE extname = \'orgusers\''), 't', 'the library is the extension\'s');

# Rights come and go, and the rules hold.
my ($paid, $free, @users) = ($Installation::paid, $Installation::free, @Installation::users);
is($new->safe_psql('postgres', "SET orgusers.user_id = '$users[3]'; SELECT orgusers.can('$paid', 'docs.read'); SELECT orgusers.remove_user('$paid', '$users[3]') FROM set_config('orgusers.user_id', '$users[0]', false);
	SET orgusers.user_id = '$users[3]'; SELECT orgusers.can('$paid', 'docs.read')"), "t\n\nf", 'a right goes');
my ($ret, $stdout, $stderr) = $new->psql('postgres', "\\set VERBOSITY sqlstate\nINSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$free', '$users[4]')");
like($stderr, qr/OU301/, 'a fourth user of the free plan is refused');

# What is due is sent, once; the lease of before runs out first.
$room->{node} = $new;
my $smtp = $room->smtp;
my $due = $new->safe_psql('postgres', q{SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'queued'});
cmp_ok($due, '>', 1, 'mail is due');
is(($room->send_due($smtp))[0], 0, 'the mailer goes on');
is(scalar($room->mails($smtp)), $due, 'it sends what is due');
$room->make_due;
is(($room->send_due($smtp))[0], 0, 'and when the leases of before have run out');
is($new->safe_psql('postgres', 'SELECT queued + leased + held FROM orgusers.mail_status()'), '0', 'nothing is left');
my @mails = $room->mails($smtp);
my %ids = map { $_ => 1 } map { map { $_->[1] } grep { lc $_->[0] eq 'message-id' } @{ $_->{headers} } } @mails;
is(scalar(keys %ids), scalar(@mails), 'and no mail was sent twice');
command_ok([ 'pg_dump', '-f', "$room->{dir}/dump", $new->connstr('postgres') ], 'a dump of it');

$room->end;
done_testing();
