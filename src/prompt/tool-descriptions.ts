/** What models are told of each tool. */

export const AGENTS_START = `Starts jobs that run in parallel, each in an isolated sandbox of its own: an agent for a task with "prompt", a run without a model for a task with "command". Returns at once with job ids, before any sandbox exists.

Use it for work that splits into independent parts: experiments, alternatives, searches over many candidates. Take a run when nothing needs judgement between its start and its end (a command, a grid, seeds): it costs no tokens. Take an agent when code must be written or decisions made.

An agent sees only its own prompt, its sandbox and the skills you name, so write each prompt as for a colleague who was not in the room: context, what to make, how to check it, what to report.

A run executes its command in the work directory and ends with it: exit code, metrics, the end of its output, and the files it names. "matrix" makes one run per combination, with the values as environment variables. Lines "METRIC name=value step=n" of its output become metrics while it runs; "metrics" reads other output. "stop" ends weak runs early.

The work directory holds the project's files as they are now, uncommitted ones included, but not what git ignores (often data, installed packages and .env files): have a job install or download what it needs of that. Some environments start empty. Set "from" to a snapshot or a job to start where it left off. A task that cannot start becomes a failed job with its reason; the others start.`;

export const AGENTS_STATUS = `Shows this session's jobs: state, what each runs or waits for, its own status and metrics, cost, and the snapshots. Returns at once; to wait, use agents_wait instead of calling this repeatedly, and to compare experiments, experiments_list.`;

export const AGENTS_WAIT = `Waits until jobs have ended and returns their results, runs of one call together and best first. Waiting costs nothing, and ends early when the user writes. Call it before you end your turn whenever a job you need is still running. With until "any" you get the first result and can act on it while the others work; call it again for the next one.`;

export const AGENTS_MESSAGE = `Sends a job its next prompt. A running job gets it after its current turn (with interrupt: at once); an ended one wakes up in its own session with its files and its memory. Use it to steer, correct or continue a job instead of starting a new one. The answer says whether the project has changed since the job took its files; with update: true they are brought up to date first. A run takes no messages: correct its command and start it anew.`;

export const AGENTS_CANCEL = `Cancels jobs: stops their model and commands and ends their sandboxes. Their files are kept in a snapshot. Jobs that have ended are left as they are.`;

export const AGENTS_COLLECT = `Brings a job's changes to the user's repository, whatever its state: running, finished or parked. Mode "branch" (default) makes the git branch agents/<job id>: the tree the job started from plus its commits; working tree, index and current branch stay as they are; a job that changed nothing gets no branch. Mode "patch" writes a file for git apply. Mode "files" copies files into a folder of the project, ignored and untracked ones too when paths name them: results, models, logs; without paths, what the job changed, of a run the files that it names. It never overwrites anything: the default folder gets a number when it exists, a folder named by "into" must be new or empty. Instructions for agents (AGENTS.md and the like) stay behind unless paths name the exact file. The answer names what was left out and, under "Attention", files that tools run or obey unasked: read those first. Branch and patch say whether the changes apply to the project as it is now, and which other jobs changed the same files. Look at the branch before you merge it: a job's work is a proposal.`;

export const EXPERIMENTS_LIST = `Lists the experiments of this project, those of earlier sessions too, as a leaderboard in one metric: mean and deviation over seeds, change against what each started from and against the best, whether that is more than noise (better, worse, noise), how the number was measured, cost, snapshot and parameters. Numbers that a benchmark measured are ranked; weaker ones stand below them. Look here before you try something, so that nothing is tried twice, and start from the snapshot of the best ("from" in agents_start).`;

export const EXPERIMENTS_SCORE = `Measures what ended jobs made, with a benchmark they cannot change, as runs: returns at once, agents_wait waits. In the setting "clean" (default) each repeat gets a fresh sandbox with the project's own files, the job's changes outside "protect", and its "artifacts"; what would reach protected files or get into the benchmark's programs by itself is left out and named. "snapshot" measures in the job's own files with "protect" restored, which proves less. Numbers that a job reports are its own words: measure before you believe or compare them.`;

export const SANDBOX_SNAPSHOT = `Freezes the files of a job's sandbox so that any number of new tasks can start from them ("from" in agents_start). Running processes are not kept. Works on running, finished and parked jobs.`;

export const SANDBOX_EXEC = `Runs a shell command in your sandbox and returns its output and exit code. The command's time limit (timeout_seconds, default 120) stops the command, never the sandbox. Long output is cut in the middle and the full log's path is given. Set background for servers and long runs: you get a process id for sandbox_process. With gpu the command runs on that hardware, in a copy of your sandbox: the files that it changes in the working directory come back when it ends (1 GiB at most, large outputs belong on a volume); what it changes elsewhere does not.`;

export const SANDBOX_PROCESS = `Checks on a background process of your sandbox: returns its new output and, once it has ended, its exit code. Can also wait for it, or send it input or a signal.`;

export const SANDBOX_READ = `Reads a text file of your sandbox, with line numbers, or lists a directory. Shows an image (PNG, JPEG, GIF, WebP) or a PDF document if your model takes such files.`;

export const SANDBOX_WRITE = `Writes a whole file in your sandbox and creates its folders.`;

export const SANDBOX_EDIT = `Replaces an exact text in a file of your sandbox. The text must occur exactly once unless replace_all is set. The file keeps its line endings and its encoding, whichever line endings you give.`;

export const JOB_REPORT = `Reports on your job to whoever watches: a short status in your own words and numeric metrics, with the step they belong to. Report when a phase begins and whenever you have a number that matters.`;
