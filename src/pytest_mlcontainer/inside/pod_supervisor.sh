# Runs the program of a pod, and keeps its file system until what it wrote was fetched.
#
# A pod's container loses its files when its first process ends, and a log mixes what a program
# prints to its two streams. So this is the first process: it waits for the files that the program
# is given, starts it when told, and tells in the container's log how it ended, one line a fact:
#
#   ready                  files can be put in
#   network-open           the network that it must not have can still be reached: not started
#   refused WHY            the program cannot be executed: missing, not-allowed, format, machine
#   started
#   full                   it has printed more than it may
#   exit CODE OOM-KILLS STDOUT STDERR
#                          the code as a shell gives it (128 + the signal), and how many bytes it
#                          has printed on each
#
# For busybox's shell; $1 is its statically linked program, $2 the folder beside it that all
# containers of the pod share, $3 how much may be printed, $4 the number of files that may be open
# or "-", $5 the host and port that must be out of reach, "service" for the cluster's own API as the
# pod's variables have it, or "-", $6 the machines whose programs the
# platform runs, as the two bytes of an ELF header in hexadecimal, or "-", $7 "bound" where it may
# use one processor alone, or "-". The rest is the command.
B=$1 D=$2 MOST=$3 OPEN=$4 LOOK=$5 MACHINES=$6 BOUND=$7
shift 7
[ "$LOOK" != service ] || LOOK=$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT
trap : TERM INT HUP

# How often memory has run out in this container, as its control group (version 1 or 2) counts.
oom_kills() {
    found=0
    for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
        [ -r "$file" ] || continue
        while read -r key count; do
            [ "$key" = oom_kill ] && found=$count
        done <"$file"
    done
    echo "$found"
}

# Where PATH leads; the name itself where it has a slash.
resolve() {
    case $1 in
    */*) echo "$1"; return ;;
    esac
    rest=$PATH:
    while [ -n "$rest" ]; do
        folder=${rest%%:*}
        rest=${rest#*:}
        if [ -f "${folder:-.}/$1" ] && [ -x "${folder:-.}/$1" ]; then
            echo "${folder:-.}/$1"
            return
        fi
    done
}

# A kernel executes what has a program's first bytes, of its own machine, or names an interpreter.
# The shell would take anything else for a script of its own.
format_of() {
    magic=$("$B" head -c 4 "$1" 2>/dev/null | "$B" od -An -tx1 | "$B" tr -d ' \n')
    case $magic in
    2321*) echo script ;;
    7f454c46) "$B" od -An -tx1 -j 18 -N 2 "$1" | "$B" tr -d ' \n' ;;
    *) echo other ;;
    esac
}

# Whether the node runs a program, or the one that a script names: as its own, or by emulation. What
# the kernel does not know the shell reads as a script, in which there is no such command.
is_of_node() {
    case " $MACHINES " in
    *" - "* | *" $(format_of "$B") "*) return 0 ;;
    esac
    "$B" head -c 20 "$1" >"$D/header"
    "$B" chmod 755 "$D/header"
    "$D/header" >/dev/null 2>&1
    case $? in
    2 | 126 | 127) return 1 ;;
    esac
}

# Whether a connection comes about; nothing is said over it.
reaches() {
    "$B" nc -w 1 "${LOOK%:*}" "${LOOK##*:}" -e "$B" true </dev/null >/dev/null 2>&1
}

interpreter_of() {
    "$B" head -n 1 "$1" | "$B" sed -e 's/^#![ 	]*//' -e 's/[ 	].*//'
}

# Until the pod is removed: what is in its file system can be fetched, and looked at.
hold() {
    while :; do
        read -r _ <"$D/go"
    done
}

[ -p "$D/go" ] || "$B" mkfifo -m 622 "$D/go"
echo ready
read -r _ <"$D/go"
: >"$D/going"

if [ "$LOOK" != - ]; then
    tries=0
    while reaches; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo network-open
            hold
        fi
        "$B" usleep 100000
    done
fi

program=$(resolve "$1")
why=
if [ -z "$program" ] || [ ! -e "$program" ]; then
    why=missing
elif [ -d "$program" ] || [ ! -x "$program" ]; then
    why=not-allowed
else
    format=$(format_of "$program")
    started=$program
    case $format in
    script)
        started=$(interpreter_of "$program")
        [ -e "$started" ] || why=missing
        ;;
    other) [ ! -r "$program" ] || why=format ;;
    *)
        case " $MACHINES " in
        *" - "* | *" $format "*) ;;
        *) why=format ;;
        esac
        ;;
    esac
    [ -n "$why" ] || [ ! -r "$started" ] || is_of_node "$started" || why=machine
fi
if [ -n "$why" ]; then
    echo "refused $why"
    hold
fi

# The first of those that the node lets it use. What it starts is bound with it.
if [ "$BOUND" = bound ]; then
    usable=$("$B" taskset -cp $$ | "$B" sed -e 's/.*: *//' -e 's/[-,].*//')
    "$B" taskset -cp "$usable" $$ >"$D/bound" 2>&1
fi
[ "$OPEN" = - ] || ulimit -n "$OPEN"
shift
before=$(oom_kills)
(exec "$program" "$@") </dev/null >"$D/stdout" 2>"$D/stderr" &
child=$!
echo "$child" >"$D/child"
echo started

# Beside it: what it prints is bounded by whoever reads this.
(
    while "$B" kill -0 "$child" 2>/dev/null; do
        "$B" usleep 1000000
        size=$(($("$B" stat -c %s "$D/stdout") + $("$B" stat -c %s "$D/stderr")))
        if [ "$size" -gt "$MOST" ]; then
            echo full
            break
        fi
    done
) &

while :; do
    wait "$child"
    code=$?
    "$B" kill -0 "$child" 2>/dev/null || break
done
# Whatever it left running would go on writing.
"$B" kill -9 -1 2>/dev/null
echo "exit $code $(($(oom_kills) - before))" $("$B" stat -c %s "$D/stdout" "$D/stderr")
hold
