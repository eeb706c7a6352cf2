# A private view of Debian trixie through the mirror this machine already uses. Sourced after lib.sh.
suite=trixie

# Prints "URI KEYRING" of the first main archive in the machine's own sources (both file formats).
machine_mirror() {
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v RS= -v codename="$codename" '
        /(^|\n)Types:[^\n]*deb/ {
            uri = suites = key = ""
            n = split($0, lines, "\n")
            for (i = 1; i <= n; i++) {
                if (lines[i] ~ /^URIs:/) { split(lines[i], w, " "); uri = w[2] }
                if (lines[i] ~ /^Suites:/) suites = lines[i] " "
                if (lines[i] ~ /^Signed-By:/) { split(lines[i], w, " "); key = w[2] }
            }
            if (suites ~ ("[ \t]" codename "[ \t]")) { print uri, key; exit }
        }' | grep . && return
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v codename="$codename" '
        $1 == "deb" {
            key = ""
            if (match($0, /signed-by=[^] ,]*/)) key = substr($0, RSTART + 10, RLENGTH - 10)
            sub(/\[[^]]*\] */, "")
            if ($3 == codename) { print $2, key; exit }
        }' | grep .
}

private_apt() {
    apt-get -o Dir::Etc::sourcelist="$cache/apt/$suite.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}

private_apt_update() {
    local mirror keyring options=
    read -r mirror keyring < <(machine_mirror) || die "no Debian mirror found in /etc/apt"
    [[ -n $keyring ]] && options="[signed-by=$keyring] "
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
    printf '%s %s%s %s main\n' deb "$options" "$mirror" "$suite" deb-src "$options" "$mirror" "$suite" \
        >"$cache/apt/$suite.list"
    private_apt -qq update >&2
}

# offered NAME: what the mirror has for a dependency, lines of "URI FILE".
offered() {
    local source kind
    source=$(lock_get "$1" source)
    kind=$(lock_get "$1" kind)
    case $kind in
        debian-source) private_apt -q source --print-uris "$source" ;;
        debian-binary) private_apt -q download --print-uris "$source" ;;
        *) die "$1: unknown kind '$kind'" ;;
    esac 2>/dev/null | sed -n "s/^'\([^']*\)' \([^ ]*\) .*/\1 \2/p"
}
