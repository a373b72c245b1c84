# F4: an invitation's token is nowhere on disk: not in tables, WAL, a replica, a dump or the server's log, however
# much of statements and bound parameters the server logs.

use strict;
use warnings;

use File::Find;
use MIME::Base64 qw(decode_base64url encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $org = '00000000-0000-0000-0000-000000000001';
my %id = map { $_ => sprintf('00000000-0000-0000-0000-0000000000%02x', ord) } qw(ann bob cyd dan eve);

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1, extra => [ '--wal-segsize=1' ]);
$node->append_conf(
	'postgresql.conf', q{
log_statement = all
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = 0
log_min_messages = debug1
log_error_verbosity = verbose
shared_preload_libraries = auto_explain
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_verbose = on
auto_explain.log_nested_statements = on
});
$node->start;
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# The mailer's part: a pair of keys, and opening the box that a mailed token waits in.
my $box = <<'PYTHON';
import ctypes, ctypes.util, sys
sodium = ctypes.CDLL(ctypes.util.find_library('sodium'))
if len(sys.argv) == 1:
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    assert sodium.crypto_box_keypair(public, secret) == 0
    print(public.raw.hex(), secret.raw.hex())
else:
    public, secret = map(bytes.fromhex, sys.argv[1:3])
    for sealed in map(bytes.fromhex, sys.argv[3:]):
        opened = ctypes.create_string_buffer(len(sealed) - 48)
        assert sodium.crypto_box_seal_open(opened, sealed, ctypes.c_ulonglong(len(sealed)), public, secret) == 0
        print(opened.raw.hex())
PYTHON
my ($public, $secret) = split ' ', (run_command([ 'python3', '-c', $box ]))[0];
my $key = encode_base64url(pack('H*', $public)) =~ tr{-_}{+/}r . '=';

$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.add_mailer_key('$key');
@{[map { "SELECT orgusers.register_user('$_\@example.org', id => '$id{$_}', email_verified => @{[$_ eq 'bob' ? 'false' : 'true']});\n" } sort keys %id]}
SELECT orgusers.act_as('$id{ann}', true);
SELECT orgusers.create_organization('Acme', 'plans_and_groups', '$org');
SELECT orgusers.set_plan('$org', 'paid', '$id{ann}');
});

# Runs a statement as a user, its parameters bound; returns whether that succeeded.
sub bound
{
	my ($mode, $actor, $statement, %parameters) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir_short() . '/script';
	append_to_file($file, "BEGIN;\nSELECT orgusers.act_as(:actor);\n$statement;\nCOMMIT;\n");
	$parameters{actor} = $id{$actor};
	return run_log([ 'pgbench', '-n', '-M', $mode, '-t', '1', '-f', $file, (map { ('-D', "$_=$parameters{$_}") } sort keys %parameters), $node->connstr('postgres') ]);
}

# The tokens that wait to be mailed to people, as the mailer reads them; and a further one, as ann gets it.
sub mailed
{
	my $sealed = $node->safe_psql('postgres', "SELECT encode(sealed_token, 'hex') FROM orgusers.mail_outbox WHERE split_part(recipient::text, '\@', 1) IN ("
		  . join(', ', map { "'$_'" } @_) . ') ORDER BY recipient');
	my ($opened) = run_command([ 'python3', '-c', $box, $public, $secret, split(/\n/, $sealed) ]);
	my @tokens = map { 'oui_' . encode_base64url(substr(pack('H*', $_), 1 + 16 + 16 + 8, 53)) } split /\n/, $opened;
	return wantarray ? @tokens : $tokens[0];
}

sub linked
{
	my ($name) = @_;
	return $node->safe_psql('postgres', "SET orgusers.user_id = '$id{ann}'; SELECT substring(orgusers.invitation_link(org_id, id) FROM '#(.*)')"
		  . " FROM orgusers.invitations WHERE email = '$name\@example.org'::orgusers.email");
}

# What must be found nowhere: what somebody could use, or make usable.
sub needles
{
	my ($token) = @_;
	my $bytes = decode_base64url(substr($token, 4));
	my $random = substr($bytes, 17, 32);
	# Base64 of whatever the secret stands in: what does not hang on the bytes before and behind it, in both alphabets.
	my @aligned = map { substr(encode_base64url(('x' x $_) . $random), $_ + 1, 40) } 1 .. 2;
	return ('text' => $token, 'base64 body' => substr($token, 4), 'base64 of the secret' => substr($token, 4 + 24, 40),
		'secret bytes' => $random, 'secret bytes in hexadecimal' => unpack('H*', $random), 'in capitals' => uc unpack('H*', $random),
		(map { ("base64, $_ bytes off" => $aligned[$_ - 1]) } 1 .. 2),
		(map { ("plain base64, $_->[0] bytes off" => $_->[1] =~ tr{-_}{+/}r) } ([ 0, substr($token, 4 + 24, 40) ], [ 1, $aligned[0] ], [ 2, $aligned[1] ])));
}

# Looks for needles (name => bytes) in a file's content; adds "name in file" to what is found.
sub look
{
	my ($found, $file, $content, %needles) = @_;
	my $any = join '|', map { quotemeta } values %needles;
	return if $content !~ /$any/;    # all at once, as nearly everywhere
	push @$found, map { "$_ in $file" } grep { index($content, $needles{$_}) >= 0 } sort keys %needles;
}

# Brings everything to the disks and looks for needles everywhere: place => what is found there.
sub search
{
	my (%needles) = @_;
	my %found = map { $_ => [] } qw(primary standby dump log wal);
	$node->safe_psql('postgres', 'CHECKPOINT');
	$node->wait_for_catchup($standby, 'replay', $node->safe_psql('postgres', 'SELECT pg_switch_wal()'));
	$standby->safe_psql('postgres', 'CHECKPOINT');
	for my $server ($node, $standby)
	{
		find({ no_chdir => 1, wanted => sub {
			# Files come and go while a server runs.
			open(my $handle, '<:raw', $_) or return if -f;
			look($found{$server->name}, substr($_, length($server->data_dir) + 1), do { local $/; <$handle> } // '', %needles) if $handle;
		} }, $server->data_dir);
	}
	# As pg_waldump says it; the bytes themselves are among the files.
	my ($first) = sort grep { m{/[0-9A-F]{24}$} } glob($node->data_dir . '/pg_wal/*');
	look($found{wal}, 'WAL', (run_command([ 'pg_waldump', '-b', $first, $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn() - 1)') ]))[0], %needles);
	look($found{dump}, 'dump', (run_command([ 'pg_dump', $node->connstr('postgres') ]))[0], %needles);
	look($found{log}, 'log', slurp_file($node->logfile), %needles);
	return %found;
}

ok(bound('extended', 'ann', 'SELECT orgusers.invite_user(:org, :email)', org => $org, email => "$_\@example.org"), "$_ is invited") for qw(bob cyd dan eve);
my %token = (bob => scalar(mailed('bob')), cyd => linked('cyd'), dan => scalar(mailed('dan')), eve => linked('eve'));
like($token{$_}, qr/^oui_[A-Za-z0-9_-]{71}$/, "a token for $_") for sort keys %token;

# Answered in every way, and refused in some.
ok(bound('extended', 'bob', 'SELECT orgusers.preview_invitation(:token)', token => $token{bob}), 'looked at');
ok(bound('extended', 'bob', 'SELECT orgusers.accept_invitation(:token)', token => $token{bob}), 'a mailed token, accepted');
ok(bound('prepared', 'cyd', 'SELECT orgusers.accept_invitation(:token)', token => $token{cyd}), 'a link, accepted by a prepared statement');
ok(bound('prepared', 'dan', 'SELECT orgusers.decline_invitation(:token)', token => $token{dan}), 'a mailed token, declined');
ok(!bound('extended', 'cyd', 'SELECT orgusers.accept_invitation(:token)', token => $token{eve}), 'for another address: refused');
ok(!bound('extended', 'eve', 'SELECT orgusers.accept_invitation(:token)', token => $token{eve} =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/er), 'mistyped: refused');
ok(!bound('extended', 'eve', 'SELECT 1 / (:token::orgusers.invitation_token IS NULL)::integer', token => $token{eve}), 'in a statement that fails');
is($node->safe_psql('postgres', "SELECT count(*) FROM orgusers.memberships WHERE org_id = '$org'"), '3', 'the accepted ones are users now');
like(slurp_file($node->logfile), qr/\$1 = '00000000-0000-0000-0000-000000000001', \$2 = 'bob\@example.org'/, 'the log has the bound parameters');
like(slurp_file($node->logfile), qr/\$1 = 'invitation_token\($org,redacted\)'/, 'tokens too, in a form that opens nothing');
like(slurp_file($node->logfile), qr/Query Text: INSERT INTO orgusers\.memberships/, 'and the statements within functions');

my %found = search(map { my $name = $_; my %needles = needles($token{$name}); map { ("$name: $_" => $needles{$_}) } keys %needles } keys %token);
for my $name (sort keys %token)
{
	is(join(', ', grep { /^$name: / } @{ $found{$_} }), '', "F4: no token of $name in the $_") for sort keys %found;
}

# Many at once, with so little memory that files hold what is sorted and kept meanwhile: links hold those files.
my $kept = PostgreSQL::Test::Utils::tempdir;
my $keeper = fork // die $!;
if ($keeper == 0)
{
	my ($n, %seen) = 0;
	while (1)
	{
		for my $file (glob($node->data_dir . '/base/pgsql_tmp/*'))
		{
			link($file, "$kept/" . $n++) and $seen{$file} = 1 unless $seen{$file};
		}
		select(undef, undef, undef, 0.002);
	}
}
$node->safe_psql('postgres', "SET work_mem = '64kB'; SET auto_explain.log_min_duration = -1; SET orgusers.user_id = '$id{ann}';"
	  . " SELECT orgusers.invite_users('$org', jsonb_agg(jsonb_build_object('email', 'many' || n || '\@example.org'))) FROM generate_series(1, 1000) n \\g /dev/null");
kill 'KILL', $keeper;
waitpid $keeper, 0;
my @files = glob("$kept/*");
cmp_ok(scalar(@files), '>', 0, 'temporary files: ' . scalar(@files));
my $content = join '', map { slurp_file($_) } @files;
like($content, qr/many999\@example\.org/, 'with the invitations in them');
my @many = mailed(map { "many$_" } 1 .. 40, 970 .. 1000);
is(scalar(@many), 71, 'tokens are read');
my $in_files = [];
look($in_files, 'temporary files', $content, needles($_)) for @many;
is(join(', ', @$in_files), '', 'F4: no token in temporary files');
%found = search(map { my $n = $_; my %needles = needles($many[$n]); map { ("$n: $_" => $needles{$_}) } keys %needles } 0, 70);
is(join(', ', map { @$_ } values %found), '', 'F4: nor anywhere else');

# They are found where they are.
$node->safe_psql('postgres', "CREATE TABLE kept AS SELECT '$token{eve}'::text AS text, '$token{eve}'::orgusers.invitation_token AS token");
%found = search(needles($token{eve}));
for my $server ('primary', 'standby')
{
	for my $kind ('text', 'base64 body', 'base64 of the secret', 'secret bytes')
	{
		like(join(', ', @{ $found{$server} }), qr{\b$kind in base/}, "what is stored is found in tables: $kind, $server");
		like(join(', ', @{ $found{$server} }), qr{\b$kind in pg_wal/}, "and in WAL: $kind, $server");
	}
}
like(join(', ', @{ $found{dump} }), qr/\btext in dump/, 'what is stored is found in a dump');
like(join(', ', @{ $found{log} }), qr/\btext in log/, 'what is written as a literal is found in the log: pass tokens as bound parameters');

# The one setting that undoes this: the server then keeps parameters as the client has spelled them, for the case
# that the statement fails.  It is off by default; doc: leave it at 0.
my $revealing = linked('eve');
ok(!bound('extended', 'cyd', 'SELECT orgusers.accept_invitation(:token)', token => $revealing), 'refused once more');
is(index(slurp_file($node->logfile), $revealing), -1, 'F4: not in the log while log_parameter_max_length_on_error is 0');
$node->append_conf('postgresql.conf', 'log_parameter_max_length_on_error = -1');
$node->reload;
ok($node->poll_query_until('postgres', "SELECT current_setting('log_parameter_max_length_on_error') = '-1'"), 'log_parameter_max_length_on_error = -1');
ok(!bound('extended', 'cyd', 'SELECT orgusers.accept_invitation(:token)', token => $revealing), 'refused once more');
cmp_ok(index(slurp_file($node->logfile), $revealing), '>', 0, 'log_parameter_max_length_on_error logs the token of a statement that fails');

done_testing();
