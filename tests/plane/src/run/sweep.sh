# Ends everything that one run started, newest first, and removes its directory.
# $1 is the run's directory. May be run again, and by several at once.

# Prints the start time of process $1, nothing if it is gone.
started() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    set -- $stat
    [ "$1" = Z ] || echo "${20}"
}

# Kills process $1 and its group, if it is still the one that started at $2.
end() {
    tries=0
    while [ "$(started "$1")" = "$2" ] && [ "$tries" -lt 500 ]; do
        [ $((tries % 50)) -ne 0 ] || kill -s KILL -- "-$1" "$1" 2>/dev/null
        tries=$((tries + 1))
        sleep 0.02
    done
}

sweep() {
    [ -f "$1/journal" ] && tac "$1/journal" | while read -r kind rest; do
        case $kind in
        process) set -- $rest; end "$1" "$2" ;;
        cleanup) sh -c "$rest" </dev/null ;;
        esac
    done
    # A process that was started in the very moment the run ended is not in the journal, but it
    # carries the run's name in its environment; so do children of the programs.
    for environment in $(grep -lzsxF "GANTRY_PLANE_RUN=$1" /proc/[0-9]*/environ); do
        pid=${environment#/proc/}
        pid=${pid%/environ}
        end "$pid" "$(started "$pid")"
    done
    [ ! -e "$1/keep" ] || mv "$1/logs" "$1.logs-$(date +%s)"
    rm -rf --one-file-system "$1"
}

sweep "$1"
