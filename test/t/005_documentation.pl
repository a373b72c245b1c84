# Documentation that agrees with the code: SQLSTATEs, functions, examples, links, versions.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use File::Basename qw(dirname);
use File::Find qw(find);
use File::Spec;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @pages = ('README.md', glob('doc/*.md'), glob('doc/rule-books/*.md'));
my %text = map { $_ => slurp_file($_) } @pages;

# Pages whose blocks of SQL run as they stand, each behind the README's tour.
my @tried = map { "doc/$_.md" }
  qw(audit identity invariants invitations joining membership roles spaces sub-accounts operations billing
  rule-books/spaces rule-books/cases rule-books/sub-accounts rule-books/customer-hub rule-books/your-own);

# The elements of the first list that the second lacks.
sub lacking
{
	my ($these, $those) = @_;
	my %have = map { $_ => 1 } @$those;
	return join ' ', grep { !$have{$_} } @$these;
}

sub unique { my %seen; return sort grep { !$seen{$_}++ } @_ }

# SQLSTATEs: errors.h defines them, something raises each, doc/errors.md explains each.
my (%macro, %name);
foreach my $line (split /\n/, slurp_file('src/errors.h'))
{
	next unless $line =~ /define ERRCODE_OU_(\w+)\s+OU_SQLSTATE\('(.)', '(.)', '(.)'\)/;
	$name{"OU$2$3$4"} = lc $1;
	$macro{"ERRCODE_OU_$1"} = "OU$2$3$4";
}
my @raised;
find(
	{
		no_chdir => 1,
		wanted => sub {
			return unless /\.(c|sql)$/;
			my $source = slurp_file($_);
			push @raised, /\.c$/ ? map { $macro{$_} // $_ } $source =~ /errcode\((ERRCODE_OU_\w+)\)/g : $source =~ /'(OU\w{3})'/g;
		}
	},
	'src');
my %documented = $text{'doc/errors.md'} =~ /^\| `(OU\w+)` \| (\w+) \|/mg;

cmp_ok(scalar keys %name, '>', 40, 'errors.h is read');
is_deeply([ sort keys %name ], [ unique(@raised) ], 'errors.h lists what is raised, and nothing else');
is_deeply(\%documented, \%name, 'doc/errors.md lists what errors.h lists, by the same names');
is(scalar(() = $text{'doc/errors.md'} =~ /^\| `OU\w+` \|/mg), scalar keys %documented, 'and each once');
foreach my $page (@pages)
{
	is(lacking([ unique($text{$page} =~ /\b(OU\d{3})\b/g) ], [ keys %name ]), '', "$page names no SQLSTATE that does not exist");
}

# Versions: people read the control file's.
my ($version) = slurp_file('orgusers.control') =~ /^default_version = '(.*)'/m;
my $meta = JSON::PP::decode_json(slurp_file('META.json'));
my $semantic = $version =~ /^\d+\.\d+$/ ? "$version.0" : $version;
is($meta->{version}, $semantic, 'META.json has the version of the control file');
is($meta->{provides}{orgusers}{version}, $semantic, 'and so has the extension that it provides');
ok(-e $meta->{provides}{orgusers}{$_}, "META.json: the $_ exists") foreach qw(file docfile);

# Links lead to files and headings that exist.
sub anchors
{
	my ($markdown) = @_;
	return map { my $anchor = lc s/[`*]//gr; $anchor =~ s/[^\w -]//g; $anchor =~ tr/ /-/; $anchor } $markdown =~ /^#+ +(.*?) *$/mg;
}
foreach my $page (@pages, 'CHANGELOG.md')
{
	my $markdown = slurp_file($page);
	my @broken;

	foreach my $link ($markdown =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ m{^https?://};
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $page : File::Spec->canonpath(dirname($page) . "/$path");
		push @broken, $link
		  if !-e $target || defined $anchor && !grep { $_ eq $anchor } anchors(slurp_file($target));
	}
	is(join(' ', @broken), '', "$page: links resolve");
}

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# The SQL of a page.
sub sql_blocks { return join "\n", $_[0] =~ /^```sql\n(.*?)^```$/msg }

# Runs SQL in a new database; returns exit code, output and complaints.
sub try_in_new_database
{
	my ($database, $sql) = @_;
	my ($stdout, $stderr);

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $code = $node->psql($database, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 1);
	return ($code, $stdout, $stderr);
}

# The roles are the cluster's: the next page makes its own.
sub forget_database
{
	my ($database) = @_;

	$node->safe_psql('postgres', "DROP DATABASE $database");
	$node->safe_psql(
		'postgres', q{SELECT format('REVOKE ALL ON PARAMETER orgusers.user_id FROM %I; DROP ROLE %1$I', rolname)
			FROM pg_roles WHERE rolname !~ '^pg_' AND NOT rolsuper \gexec});
}

my $tour = sql_blocks($text{'README.md'});
my ($code, $stdout, $stderr) = try_in_new_database('tour', $tour);
is($code, 0, "the README's tour runs as it stands") or diag $stderr;
like($stdout, qr/^Acme\|\{USER\}\|t$/m, 'and Bob is a user of Acme at its end');

# The reference is what the catalog says.
is($node->safe_psql('tour', 'SELECT orgusers.version()'), $version, 'the library has the version of the control file');
my $functions = do { local $ENV{PGDATABASE} = 'tour'; `doc/generate-functions` };
is($?, 0, 'doc/generate-functions finds a place for every function');
ok($functions eq $text{'doc/functions.md'}, 'doc/functions.md is what doc/generate-functions prints');

# So are the tables of the rule-books.
$node->safe_psql('tour', join '; ', map { "SELECT orgusers.install_$_()" } qw(spaces cases subaccounts customer_hub));
foreach my $page (grep { $text{$_} =~ /^<!-- rule-book /m } @pages)
{
	my $made = do { local $ENV{PGDATABASE} = 'tour'; `doc/generate-rule-books $page` };
	ok($made eq $text{$page}, "$page is what doc/generate-rule-books prints");
}
is(scalar(grep { $text{$_} =~ /^<!-- rule-book /m } @pages), $node->safe_psql('tour', 'SELECT count(*) FROM orgusers.policies'), 'every rule-book has a page');

# Whatever a page calls by name exists.  The library's settings are there once it is loaded.
my @objects = split /\n/, $node->safe_psql(
	'tour', q{
SELECT orgusers.version() \g /dev/null
SELECT relname FROM pg_class WHERE relnamespace = 'orgusers'::regnamespace
UNION SELECT proname FROM pg_proc WHERE pronamespace = 'orgusers'::regnamespace
UNION SELECT typname FROM pg_type WHERE typnamespace = 'orgusers'::regnamespace
UNION SELECT substr(name, 10) FROM pg_settings WHERE name LIKE 'orgusers.%'
UNION VALUES ('control')});
my @names = split /\n/, $node->safe_psql(
	'tour', q{
SELECT proname FROM pg_proc
UNION SELECT unnest(proargnames) FROM pg_proc WHERE pronamespace = 'orgusers'::regnamespace
UNION SELECT attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'orgusers'::regnamespace
UNION SELECT tgname FROM pg_trigger UNION SELECT conname FROM pg_constraint
UNION SELECT kind FROM orgusers.mail_templates
UNION SELECT unnest(orgusers.mail_placeholders(kind)) FROM orgusers.mail_templates
UNION SELECT name FROM pg_settings UNION SELECT rolname FROM pg_roles UNION SELECT id FROM orgusers.policies
UNION SELECT id FROM orgusers.plans UNION SELECT id FROM orgusers.role_templates});
foreach my $page (@pages)
{
	is(lacking([ unique($text{$page} =~ /\borgusers\.([a-z]\w*)/g) ], \@objects), '', "$page: orgusers.something exists");
	is(lacking([ unique($text{$page} =~ /`((?!pg_|orgusers_)[a-z]+(?:_[a-z]+)+)[`(]/g) ], [ @objects, @names ]), '', "$page: names_like_this exist");
}
forget_database('tour');

# The other pages' SQL.
foreach my $page (@tried)
{
	my $sql = sql_blocks($text{$page});
	isnt($sql, '', "$page has SQL");
	($code, $stdout, $stderr) = try_in_new_database('page', "$tour\n$sql");
	is($code, 0, "$page: the SQL runs as it stands") or diag $stderr;

	like($stdout, qr/^t\|t\|f$/m, 'and Bob may in the club what the rule-book says') if $page eq 'doc/rule-books/your-own.md';

	if ($page eq 'doc/identity.md')
	{
		# PostgREST's part: the role, and the request's headers as a setting.
		my $secret = 'not so secret, but 32 bytes long';
		my $user = $node->safe_psql('page', q{SELECT id FROM orgusers.users WHERE email = 'ann@acme.example'});
		$node->safe_psql('page', "SELECT orgusers.add_assertion_key('rest', 'HS256', '$secret', 'docs.example')");
		my $signed = encode_base64url('{"alg":"HS256","kid":"rest"}') . '.'
		  . encode_base64url(sprintf '{"sub":"%s","aud":"docs.example","exp":%d}', $user, time + 60);
		my $assertion = $signed . '.' . encode_base64url(hmac_sha256($signed, $secret));
		my $request = sub {
			my ($headers) = @_;
			return $node->safe_psql(
				'page', qq{
BEGIN READ ONLY;
SET LOCAL ROLE app;
SELECT set_config('request.headers', '$headers', true) \\g /dev/null
SELECT api.pre_request() \\g /dev/null
SELECT coalesce(orgusers.current_user_id()::text, 'nobody');
COMMIT;});
		};
		is($request->(qq({"authorization":"Bearer $assertion"})), $user, "PostgREST's request acts as its user");
		is($request->('{"accept":"*/*"}'), 'nobody', 'and as nobody without a token');

		# PostGraphile's part: the settings in their order, then the query.
		is( $node->safe_psql(
				'page', qq{
BEGIN;
SELECT set_config(s ->> 0, s ->> 1, true) FROM json_array_elements('[["orgusers.user_id", "$user"], ["role", "app"]]') s \\g /dev/null
SELECT current_user, orgusers.current_user_id();
COMMIT;}, extra_params => [ '-U', 'graphile' ]),
			"app|$user", "PostGraphile's transaction acts as its user");
	}
	forget_database('page');
}

$node->stop;
done_testing();
