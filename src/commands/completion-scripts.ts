/**
 * Completion scripts. They hold no words of their own: all three hand the words so far to `dynamo complete`, so that they never
 * grow old. It answers with a line of hints (`:files`: file names fit too; `:open`: no blank after the candidate), then one candidate a
 * line, its explanation after a tab.
 */
export const COMPLETION_SCRIPTS = {
  bash: `# Completion of dynamo for bash. In ~/.bashrc: source <(dynamo completion bash)
_dynamo() {
  local program=\${COMP_WORDS[0]/#\\~/$HOME} line=\${COMP_LINE:0:COMP_POINT} current hints
  local -a words lines
  # Not COMP_WORDS: bash cuts those at = and : too.
  read -r -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]} - 1]}
  local IFS=$'\\n'
  lines=($("$program" complete -- "\${words[@]:1}" 2>/dev/null))
  hints=\${lines[0]}
  COMPREPLY=("\${lines[@]:1}")
  COMPREPLY=("\${COMPREPLY[@]%%$'\\t'*}")
  if [[ $hints == *files* ]]; then
    compopt -o filenames
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
  [[ $hints == *open* ]] && compopt -o nospace
  return 0
}
complete -F _dynamo dynamo
`,
  zsh: `#compdef dynamo
# Completion of dynamo for zsh. In ~/.zshrc, after compinit: source <(dynamo completion zsh)
# or as a file: dynamo completion zsh > "\${fpath[1]}/_dynamo"
_dynamo() {
  local -a lines candidates
  local line hints
  lines=("\${(@f)$("\${(Q)\${~words[1]}}" complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  hints=$lines[1]
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#candidates} )); then
    if [[ $hints == *open* ]]; then _describe -t dynamo 'dynamo' candidates -S ''
    else _describe -t dynamo 'dynamo' candidates
    fi
  fi
  [[ $hints == *files* ]] && _files
  return 0
}
if [[ $funcstack[1] == _dynamo ]]; then _dynamo "$@"; else compdef _dynamo dynamo; fi
`,
  fish: `# Completion of dynamo for fish: dynamo completion fish > ~/.config/fish/completions/dynamo.fish
function __dynamo_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] complete -- $words[2..-1] $current 2>/dev/null)
    if test (count $lines) -gt 1
        printf '%s\\n' $lines[2..-1]
    end
    if string match -q '*files*' -- $lines[1]
        __fish_complete_path $current
    end
end
complete -c dynamo -f -a '(__dynamo_complete)'
`,
} as const;
