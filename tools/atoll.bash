# Completion of atoll for bash. What there is to complete, the program itself tells.

_atoll() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=
  if ((COMP_CWORD == 1)) || [[ $command == help ]]; then
    words=$(atoll --help 2>/dev/null | sed -n 's/^  \([a-z]\+\)  *[a-z].*/\1/p')
  elif [[ $word == -* ]]; then
    words=$(atoll "$command" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*=\?\).*/\1/p')
  elif [[ $command == rm ]] || ((COMP_CWORD == 2)); then
    words=$(atoll ls --names 2>/dev/null)
    [[ $word == /* ]] || words=${words//\//}
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _atoll atoll
