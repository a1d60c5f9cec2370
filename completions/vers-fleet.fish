# fish completion for vers-fleet                             -*- shell-script -*-
#
# The words of the command line are handed to the program as text; nothing of
# them, and nothing of the answer, is evaluated. The answer is "words", or "files"
# where names of files will do too, then a line for each word, as it is meant, with
# what is said about it after a tab. fish quotes it.

function __vers_fleet_offer
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (commandline -ct)
    set -l meant (string unescape -- "$word"); or set meant $word # a quote is open
    set -l lines (command vers-fleet __offer fish --word="$meant" -- $words 2>/dev/null)
    if set -q lines[2]
        printf '%s\n' $lines[2..-1]
    else if test "$lines[1]" != words
        __fish_complete_path "$word"
    end
end

complete -c vers-fleet -e
complete -c vers-fleet -f -a '(__vers_fleet_offer)'
