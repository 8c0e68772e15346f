import { addAll } from "./job-git.ts";

/** Repositories looked into at most: each takes a few runs of git. */
const MAX_NESTED = 1_000;

/**
 * Puts the files of repositories that the job made among its files into the index, where git puts the name of a commit, or
 * nothing. A further working tree (git-worktree) is left out, as its files are copies of what is there. Outer ones come
 * first: an inner one needs the place of a commit to be gone. Needs `s` and `elsewhere`, and the variables of `PACK`.
 */
export const TAKE_NESTED = `forget() { s --literal-pathspecs ls-files -z -- "$1" | s update-index -z --force-remove --stdin; }
take() {
  rm -f -- "$out/nested.index"
  GIT_DIR=$own GIT_WORK_TREE=$PWD/\${1#./} GIT_INDEX_FILE=$out/nested.index
  export GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
  cd -- "$1" || return 1
  # What the project tracks there stays tracked, though it may be ignored.
  [ -z "$base" ] || s read-tree "$base:\${1#./}" 2>/dev/null || true
  ${addAll('"$out/inner"')}
  [ $? -eq 0 ] && s write-tree
}
mkdir -p -- "$out/inner"
find . -mindepth 2 -name .git -prune -print0 2>/dev/null | tr '\\n\\0' '\\001\\n' | sort > "$out/nested" || true
[ "$(wc -l < "$out/nested")" -le ${MAX_NESTED} ] || { echo "the job has made more repositories among its files than can be listed" >&2; exit 1; }
while IFS= read -r line; do
  line=$(printf '%s' "$line" | tr '\\001' '\\n')
  place=\${line%/.git}
  ! s check-ignore -q -- "$place" 2>/dev/null || continue
  if [ -f "$line" ] && head -c 4096 "$line" | grep -q '^gitdir:.*/worktrees/'; then
    forget "$place"; elsewhere copy 0 "\${place#./}"
  elif inner=$(take "$place" 2>/dev/null) && [ -n "$(s ls-tree "$inner" | head -n 1)" ] &&
    forget "$place" && s read-tree --prefix="\${place#./}/" "$inner"; then
    elsewhere repository 0 "\${place#./}"
  else elsewhere unborn 0 "\${place#./}"; fi
done < "$out/nested"`;
