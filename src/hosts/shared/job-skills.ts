import { withNotes } from "../../core/job-notes.ts";
import type { Catalog } from "../../core/ports.ts";
import { isDenied } from "../../core/subject-rules.ts";
import { skillFolder } from "../../jobs/sandbox/install-skills.ts";
import { renderLoadedSkill, renderSkillFailure } from "../../prompt/loaded-skill.ts";
import type { JobMark } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** Skills that a job loads while it works. The host's own text about one names folders of the user's machine. */
export interface JobSkills {
  /** Puts the skill's files into the job's sandbox, unless they are there. @returns what the job's model is told; never rejects */
  load(mark: JobMark, name: string): Promise<string>;
}

export function createJobSkills(access: Pick<RuntimeAccess, "runtime">, catalog: () => Promise<Catalog>): JobSkills {
  async function load({ job: jobID, orchestrator }: JobMark, name: string): Promise<string> {
    const runtime = await access.runtime();
    const sessionJobs = await runtime.sessionJobs(orchestrator);
    const skill = (await catalog()).skills.find((one) => one.name === name);
    await runtime.lifecycle.making(jobID);
    const sandbox = runtime.lifecycle.live(jobID);
    if (!skill) return renderSkillFailure(name, "there is no such skill");
    if (!sandbox) return renderSkillFailure(name, "the job has no sandbox now");
    const { skills = [], rules = [] } = sessionJobs.get(jobID)?.task ?? {};
    if (isDenied(rules, "skill", name)) return renderSkillFailure(name, "the user's permissions deny it");
    const notes = skills.includes(name) ? [] : await runtime.installSkill(skill, sandbox);
    sessionJobs.update(jobID, (job) => withNotes(job, notes));
    return renderLoadedSkill({
      name,
      content: skill.content,
      hostFolder: skill.folder,
      folder: skillFolder(sandbox, name),
      notes,
    });
  }
  return {
    load: (mark, name) => load(mark, name).catch((error: Error) => renderSkillFailure(name, error.message)),
  };
}
