import type { Elsewhere } from "../project/stored-changes.ts";
import { PIPES, SETUP_REFS, UPDATE_REF } from "./job-git.ts";

/*
 * Work that a job left in its sandbox where its files are not: on other branches, in a stash, in further working trees,
 * or in git's index alone. What comes back is the work directory; this is named, with the way to have it too.
 */

/** References looked at, and names listed of each other kind. */
const MAX_NAMED = 100;

/** Defines `elsewhere kind count name`, which records one. */
export const ELSEWHERE = `elsewhere() { printf 'W%s\\t%s\\t%s\\0' "$1" "$2" "$3" >> "$out/elsewhere"; }
: > "$out/elsewhere"`;

/** Before files are added to the copied index: what it has that no file has. Flags that hide changes from git are taken away. */
export const LOOK_AT_INDEX = `staged=$(s write-tree 2>/dev/null) || staged=
s -c core.quotePath=false ls-files --unmerged | cut -f 2- | sort -u | head -n ${MAX_NAMED} > "$out/unmerged"
if s ls-files -v | grep -q '^[a-zS]'; then
  s ls-files -z | s update-index -z --no-assume-unchanged --stdin
  s -c core.quotePath=false ls-files -v | sed -n 's/^S //p' | while IFS= read -r file; do
    [ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\\0' "$file"
  done | s update-index -z --no-skip-worktree --stdin
fi`;

/**
 * Where a job has checked out a branch that shares neither history nor files with the project, as for a website: its files
 * would seem to replace the whole project. Sets `tip` and `tree` to the branch that the job began on.
 */
export const LEAVE_ORPHAN = `if [ -n "$base" ] && { [ -z "$head" ] || ! s merge-base --is-ancestor "$base" "$head"; }; then
  all=$(s ls-tree -r --name-only "$base" | wc -l)
  gone=$(s diff-tree -r --name-only --no-renames --diff-filter=D "$base" "$tree" | wc -l)
  if [ "$all" -gt 0 ] && [ "$gone" -eq "$all" ]; then
    elsewhere orphan 0 "$(s symbolic-ref --quiet --short HEAD || echo HEAD)"
    tip=$base
    ! s merge-base --is-ancestor "$base" refs/heads/main 2>/dev/null || tip=$(s rev-parse refs/heads/main)
    tree=$(s rev-parse "$tip^{tree}")
  fi
fi`;

/**
 * Records what the job's repository has beyond the files at \`tip\`. What is merged already counts as there, also where
 * only its content is, and so does what an environment's set-up left.
 */
export const SURVEY = `survey() {
  lacks() {
    n=$(s rev-list --count "$1" --not "$tip" "$base" --remotes --glob='${SETUP_REFS}/*' $2 2>/dev/null) && [ "\${n:-0}" -gt 0 ] &&
      [ "$(s merge-tree --write-tree "$tip" "$1" 2>/dev/null)" != "$tree" ]
  }
  current=$(s symbolic-ref --quiet HEAD) || current=
  s for-each-ref --no-merged="$tip" --format='%(refname)' 2>/dev/null | grep -v '^refs/remotes/' | head -n ${MAX_NAMED} | while IFS= read -r ref; do
    case $ref in
      "$current" | refs/stash | refs/bisect/* | refs/rewritten/* | refs/original/* | refs/worktree/*) ;;
      ${UPDATE_REF} | refs/heads/before-update) ;;
      refs/heads/*) ! lacks "$ref" "" || elsewhere branch "$n" "\${ref#refs/heads/}" ;;
      refs/tags/*) ! lacks "$ref" "" || elsewhere tag "$n" "\${ref#refs/tags/}" ;;
      *) ! lacks "$ref" "" || elsewhere reference "$n" "$ref" ;;
    esac
  done
  s reflog show --format=%gs HEAD 2>/dev/null | head -n 1000 |
    sed -n 's/^checkout: moving from \\([0-9a-f]\\{40,64\\}\\) to .*/\\1/p' | sort -u | head -n ${MAX_NAMED} | while IFS= read -r commit; do
      ! lacks "$commit" --all || elsewhere commit "$n" "$commit"
    done
  n=$(s stash list 2>/dev/null | wc -l)
  [ "$n" -eq 0 ] || elsewhere stash "$n" ""
  for state in rebase-merge:rebase rebase-apply:rebase MERGE_HEAD:merge CHERRY_PICK_HEAD:cherry-pick REVERT_HEAD:revert BISECT_LOG:bisect; do
    [ ! -e "$own/\${state%:*}" ] || elsewhere state 0 "\${state#*:}"
  done
  while IFS= read -r file; do elsewhere conflict 0 "$file"; done < "$out/unmerged"
  if [ -n "$staged" ] && [ -n "$head" ]; then
    s -c core.quotePath=false diff-tree -r --name-only --no-renames "$head" "$tip" > "$out/changed"
    s -c core.quotePath=false diff-tree -r --name-only --no-renames "$head" "$staged" | grep -vxF -f "$out/changed" |
      head -n ${MAX_NAMED} | while IFS= read -r file; do elsewhere index 0 "$file"; done
  fi
  s worktree list --porcelain 2>/dev/null | sed -n 's/^worktree //p' | sed 1d | head -n 20 | while IFS= read -r place; do
    case $place/ in "$(pwd -P)"/*) s check-ignore -q -- "$place" || continue ;; esac
    [ -z "$(cd -- "$place" 2>/dev/null && ${PIPES} 2>/dev/null | head -n 1)" ] || { elsewhere worktree 1 "$place"; continue; }
    n=$(unset GIT_INDEX_FILE; cd -- "$place" 2>/dev/null && at_files && s status --porcelain --untracked-files=all | wc -l) || continue
    [ "$n" -eq 0 ] || elsewhere worktree "$n" "$place"
    commit=$(cd -- "$place" && at_files && s rev-parse --verify HEAD) || continue
    ! lacks "$commit" --branches || elsewhere commit "$n" "$commit"
  done
}
survey 2>/dev/null || true`;

/** Parses one record, without its "W"; null where it is none. */
export function parseElsewhere(record: string): Elsewhere | null {
  const [, kind, count, name = ""] = /^(\w+)\t *(\d{1,9})\t(.*)$/s.exec(record) ?? [];
  return kind === undefined ? null : { kind, count: Number(count), name };
}
