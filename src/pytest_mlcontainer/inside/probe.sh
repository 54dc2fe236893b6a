# Runs the probe, "$1", in the image's Python; tells what a shell alone can see where none ends well.
# POSIX, and builtins wherever they do: an image without Python often has few other programs.

status=0
separator=
facts=

# A name and its value as JSON; what would end a JSON text becomes an apostrophe.
text() {
    [ -n "$2" ] || return 0
    rest=$2
    safe=
    while :; do
        head=${rest%%[\\\"]*}
        [ "$head" != "$rest" ] || break
        safe="$safe$head'"
        rest=${rest#"$head"?}
    done
    facts="$facts$separator\"$1\": \"$safe$rest\""
    separator=', '
}

number() {
    case $2 in
        '' | *[!0-9]* | ??????????????????*) ;; # nothing, no number, or "no limit" in version 1
        *)
            facts="$facts$separator\"$1\": $2"
            separator=', '
            ;;
    esac
}

say() {
    [ -z "$facts" ] || printf '\n%s{%s}\n' '@MARKER@' "$facts"
    facts=
    separator=
}

first_line() {
    line=
    { IFS= read -r line <"$1"; } 2>/dev/null || [ -n "$line" ]
}

see_system() {
    if [ -r /etc/os-release ]; then
        while IFS= read -r line || [ -n "$line" ]; do
            case $line in
                PRETTY_NAME=*)
                    line=${line#*=}
                    line=${line#[\"\']}
                    text distribution "${line%[\"\']}"
                    ;;
            esac
        done </etc/os-release
    fi
    if first_line /proc/sys/kernel/osrelease; then text kernel "$line"; fi
    if first_line /proc/sys/kernel/hostname; then text host.name "$line"; fi
    libc=
    version=$(ldd --version 2>&1) || :
    case $version in
        musl*)
            version=${version#*Version }
            libc="musl ${version%%[!0-9.]*}"
            ;;
        *GLIBC* | *'GNU libc'*)
            version=${version%%
*}
            libc="glibc ${version##* }"
            ;;
        *)
            for path in /lib/ld-musl-*; do
                if [ -e "$path" ]; then libc=musl; fi
            done
            ;;
    esac
    text libc "$libc"
}

see_cpu() {
    model= flags= implementer= part=
    if [ -r /proc/cpuinfo ]; then
        while IFS= read -r line; do
            value=${line#*: }
            case $line in
                'model name'*) model=$value ;;
                flags*) case $machine in aarch64 | arm*) ;; *) flags=$value ;; esac ;;
                Features*) case $machine in aarch64 | arm*) flags=$value ;; esac ;;
                'CPU implementer'*) implementer=$value ;;
                'CPU part'*) part=$value ;;
                '') break ;;
            esac
        done </proc/cpuinfo
    fi
    if [ -z "$model$part" ]; then :; else text cpu.model "${model:-$implementer/$part}"; fi
    known=
    for flag in @FLAGS@; do
        case " $flags " in
            *" $flag "*) known="$known $flag" ;;
        esac
    done
    text cpu.flags "${known# }"
    number cpu.count "$(nproc --all 2>/dev/null)"
    number cpu.usable "$(unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc 2>/dev/null)"
    if first_line /sys/fs/cgroup/memory.max || first_line /sys/fs/cgroup/memory/memory.limit_in_bytes
    then
        number memory.limit_bytes "$line"
    fi
}

see_user() {
    if [ -r /proc/self/status ]; then
        while IFS= read -r line; do
            case $line in
                Uid:*)
                    # shellcheck disable=SC2086 # split into its columns
                    set -- $line
                    number user.id "$2"
                    break
                    ;;
            esac
        done </proc/self/status
    fi
    number process.nofile "$(ulimit -n 2>/dev/null)"
    text timezone.name "${TZ-}"
    for name in @ENVIRONMENT@; do
        eval "value=\${$name-}"
        text "env.$name" "$value"
    done
    # Names alone, and exactly those: the second line of a value must not pass for a name.
    names=
    for name in $(tr '\000\012' '\012\040' </proc/$$/environ 2>/dev/null |
        while IFS= read -r line; do
            name=${line%%=*}
            case $name in
                PWD | OLDPWD | SHLVL | _ | *[!A-Za-z0-9_]*) ;;
                *) printf '%s\n' "$name" ;;
            esac
        done); do
        names="$names $name"
    done
    text environment.names "${names# }"
}

machine=$(uname -m 2>/dev/null)
text machine "$machine"
say
for python in python3 python; do
    if command -v "$python" >/dev/null 2>&1; then
        "$python" -c "$@" && exit 0
        status=$?
        text unread.python '@UNFINISHED@'
        break
    fi
done
see_system
see_cpu
see_user
say
exit $status
