# bash completion for vers-fleet                             -*- shell-script -*-
#
# The command line is handed to the program as text; nothing of it, and nothing
# of the answer, is evaluated. The answer is "words", or "files" where names of
# files will do too, then a line for each word, quoted as it is to stand on the
# command line.

__start_vers-fleet() {
    local line kind
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r line; do
            COMPREPLY+=("$line")
        done
    } < <(command vers-fleet __offer bash --line="${COMP_LINE:0:COMP_POINT}" --breaks="$COMP_WORDBREAKS" \
        --type="${COMP_TYPE:-0}" --columns="${COLUMNS:-80}" 2>/dev/null)
    [[ $(type -t compopt) == builtin ]] || return 0 # before bash 4
    [[ $kind == words ]] && compopt +o default
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:=] ]] && compopt -o nospace
    return 0
}

if [[ $(type -t compopt) == builtin ]]; then
    complete -o default -F __start_vers-fleet vers-fleet
else
    complete -o default -o nospace -F __start_vers-fleet vers-fleet
fi
