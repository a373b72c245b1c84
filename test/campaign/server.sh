# Sourced by the parts that run the suite on a server of their own, in a copy of the tree: nothing that they build stays.
# The part is in the tree's root directory then, and $work is its directory, which goes when the part ends.

work=$(mktemp -d /tmp/orgusers-part.XXXXXX)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
install_packages() {
    if dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>&1 | grep -qvx installed; then
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    fi
}
# The sanitizers of clang, which a package of its own has in newer distributions.
install_sanitizers() { [ -e "$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")" ] || install_packages libclang-rt-dev; }
test/tools/install-deps

copy_tree() {
    mkdir "$work/tree"
    tar --exclude=./.git -cf - . | tar -xf - -C "$work/tree"
    make -s -C "$work/tree" clean
}

# A copy of the server that PG_CONFIG names, which a server survives as long as its directories keep their places.
copy_server() {
    local config=${PG_CONFIG:-pg_config} include
    include=$("$config" --includedir)
    mkdir -p "$work/server$(dirname "$include")"
    for directory in bindir pkglibdir sharedir; do "$config" --$directory; done | sed 's,^/,,' | tar -C / -cf - -T - | tar -xf - -C "$work/server"
    ln -s "$include" "$work/server$include"
    bindir=$work/server$("$config" --bindir)
    rm -f "$work/server$("$config" --pkglibdir)/orgusers.so"
    export PG_CONFIG=$bindir/pg_config MAILER_BINDIR=$bindir ORGUSERS_MAILER=$bindir/orgusers-mailer
}

# The server's processes run with a command in front, words of the shell: env and settings, or a program that runs programs.
# initdb's own do not.
server_runs_with() {
    mv "$bindir/postgres" "$bindir/postgres.bare"
    # By the script's own place: tests that install another version copy all of it.
    cat >"$bindir/postgres" <<SCRIPT
#!/bin/sh
case \$1 in
    -D) exec $* "\$(dirname "\$0")/postgres.bare" "\$@" ;;
    *) exec "\$(dirname "\$0")/postgres.bare" "\$@" ;;
esac
SCRIPT
    # A restart would run the program that ran before, without the command.
    mv "$bindir/pg_ctl" "$bindir/pg_ctl.bare"
    cat >"$bindir/pg_ctl" <<'SCRIPT'
#!/bin/sh
exec "$(dirname "$0")/pg_ctl.bare" "$@" -p "$(dirname "$0")/postgres"
SCRIPT
    chmod 755 "$bindir/postgres" "$bindir/pg_ctl"
}

# PostgreSQL's source of the server's major version, as the distribution has it, the server's own release if it can be had;
# and a server built of it that checks its assertions, and whose memory valgrind can follow.  Both stay where ORGUSERS_CACHE
# says, for the next time.  Then PG_CONFIG names that server, and $source is its source.
server_from_source() {
    local major cache apt version release jobs pgtap
    major=$("${PG_CONFIG:-pg_config}" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    pgtap=$("${PG_CONFIG:-pg_config}" --sharedir)/extension
    cache=${ORGUSERS_CACHE:-$work/cache}
    mkdir -p "$cache"
    install_packages gcc make perl bison flex valgrind bzip2 libc6-dev libxml2-dev pkg-config
    if [ ! -e "$cache/built-$major" ]; then
        apt=$work/apt
        mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
        # In the one form or the other; a system may have no file of either.
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
            [ ! -e "$file" ] || sed -n 's/^deb\([ \t]\)/deb-src\1/p' "$file" >>"$apt/sources/source.list"
        done
        for file in /etc/apt/sources.list.d/*.sources; do
            [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/sources/$(basename "$file")"
        done
        apt=(-qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources" -o "Dir::State::lists=$apt/lists"
            -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
        apt-get "${apt[@]}" update
        # A mirror may lack the newest.
        for version in "$(dpkg-query -W -f '${source:Version}' "postgresql-$major")" \
            $(apt-cache "${apt[@]}" showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -Vr); do
            ! (cd "$cache" && apt-get "${apt[@]}" source --download-only "postgresql-$major=$version") || break
        done
        tar -xf "$cache"/postgresql-"$major"_*.orig.tar.* -C "$cache"
        release=$(basename "$cache"/postgresql-"$major".*/)
        mkdir -p "$cache/build-$major"
        (
            cd "$cache/build-$major"
            "$cache/$release/configure" --prefix="$cache/server-$major" --enable-cassert --enable-debug --enable-tap-tests \
                --with-libxml --without-readline --without-zlib --without-icu CFLAGS='-Og -g' CPPFLAGS=-DUSE_VALGRIND
            make -s -j"$(nproc)" world-bin
            make -s install-world-bin
        ) >"$cache/build.log" 2>&1 || { tail -n 50 "$cache/build.log"; exit 1; }
        echo "$release" >"$cache/built-$major"
    fi
    release=$(cat "$cache/built-$major")
    source=$cache/$release
    PG_CONFIG=$cache/server-$major/bin/pg_config
    cp -a "$pgtap"/pgtap* "$("$PG_CONFIG" --sharedir)/extension/"
    chmod a+rX "$cache"
    echo "the server: $("$PG_CONFIG" --version), from source"
}

# Runs suites as test/run does, in the copy of the tree, and writes the row.
run_suite() { # what, suite ...
    local what=$1 status=0; shift
    (cd "$work/tree" && test/run "$@") 2>&1 | tee "$work/suite.txt" || status=1
    sed -n "s/^\([0-9]*\) passed, \([0-9]*\) failed\$/\1 \2/p" "$work/suite.txt" | tail -n 1 | {
        read -r passed failed || { passed=0; failed=1; }
        [ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
        printf 'result\t%s\t%s\t%s\n' "$what" $((passed + failed)) "$failed"
        [ "$failed" = 0 ]
    }
}
