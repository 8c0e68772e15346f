/** Variables of the environment by which git names people, on top of its configuration. */
export const IDENTITY_VARIABLES = [
  ...["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"],
  ...["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "EMAIL"],
] as const;
